#!/usr/bin/env bash
# Splices the medians of results/scale/runs.csv into README.md, between its markers.
set -euo pipefail
cd "$(dirname "$0")/.."
table=$(awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    {
        key = $column["nodes"] "," $column["protocol"]; count[key]++
        split("throughput_tps latency_p50_ms messages_per_block", names, " ")
        for (n in names) value[key, n, count[key]] = $column[names[n]]
        if (!($column["nodes"] in seen)) { order[++rows] = $column["nodes"]; seen[$column["nodes"]] }
    }
    function median(key, n,    i, j, t, v) {
        for (i = 1; i <= count[key]; i++) v[i] = value[key, n, i] + 0
        for (i = 1; i <= count[key]; i++)
            for (j = i + 1; j <= count[key]; j++) if (v[j] < v[i]) { t = v[i]; v[i] = v[j]; v[j] = t }
        return v[int((count[key] + 1) / 2)]
    }
    END {
        print "| n | RAFT tx/s | PBFT tx/s | RAFT p50 ms | PBFT p50 ms | RAFT messages a block | PBFT messages a block |"
        print "|---|---|---|---|---|---|---|"
        for (r = 1; r <= rows; r++) {
            a = order[r] ",raft"; b = order[r] ",pbft"
            printf "| %s | %.0f | %.0f | %.0f | %.0f | %.1f | %.1f |\n", order[r], median(a, 1), median(b, 1), \
                median(a, 2), median(b, 2), median(a, 3), median(b, 3)
        }
    }' results/scale/runs.csv)
awk -v table="$table" '
    /<!-- scale -->/ { print; print table; skip = 1; next }
    /<!-- end -->/ { skip = 0 }
    !skip' README.md > README.md.new
mv README.md.new README.md
