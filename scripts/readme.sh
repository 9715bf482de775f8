#!/usr/bin/env bash
# Splices the medians of results/protocols/runs.csv into README.md, between its markers.
set -euo pipefail
cd "$(dirname "$0")/.."
table=$(awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    {
        profile = $column["protocol.value"] ~ /paper/ ? "paper" : $column["protocol.value"] ~ /hardened/ ? "hardened" : ""
        key = $column["nodes"] "," $column["protocol"] profile; count[key]++
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
        split("raft irafthardened krbftpaper krbfthardened pbft", series, " ")
        printf "| n |"
        split("RAFT,improved RAFT,K-RBFT as published,K-RBFT certified,PBFT", title, ",")
        for (s = 1; s <= 5; s++) printf " %s |", title[s]
        printf "\n|---|---|---|---|---|---|\n"
        for (r = 1; r <= rows; r++) {
            printf "| %s |", order[r]
            for (s = 1; s <= 5; s++) {
                key = order[r] "," series[s]
                printf " %.0f · %.0f · %.0f |", median(key, 1), median(key, 2), median(key, 3)
            }
            printf "\n"
        }
    }' results/protocols/runs.csv)
awk -v table="$table" '
    /<!-- protocols -->/ { print; print table; skip = 1; next }
    /<!-- end -->/ { skip = 0 }
    !skip' README.md > README.md.new
mv README.md.new README.md
