//! Measured delays between regions of public clouds, so that a scenario can place its sites on the
//! map by name. Pure data and its look-up.

use crate::base::time::Span;

/// A set of regions and the delays measured between them.
#[derive(Debug)]
pub struct Matrix {
    /// As written in a scenario's `network.matrix`.
    pub name: &'static str,
    /// What was measured, by whom and when.
    pub about: &'static str,
    /// The regions, in the order of the rows.
    pub regions: &'static [&'static str],
    /// Round-trip times in hundredths of a millisecond, from the region of the row to that of
    /// the column.
    round_trips: &'static [&'static [u32]],
}

/// All matrices there are.
pub const MATRICES: &[Matrix] = &[Matrix {
    name: "aws-2023",
    // Source: cloudping.co, as committed to the public repository Delphi-BFT/tool
    // (src/util/aws21.json) on 29 November 2023. Twelve of its twenty-one regions.
    about: "Round-trip times between regions of AWS: means over a day by cloudping.co, 2023-11",
    regions: &[
        "us-east-1",
        "us-west-2",
        "ca-central-1",
        "sa-east-1",
        "eu-west-1",
        "eu-central-1",
        "eu-north-1",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-northeast-1",
        "af-south-1",
    ],
    round_trips: &[
        &[
            585, 6_526, 1_713, 11_476, 7_026, 9_497, 11_378, 18_981, 21_668, 19_918, 14_794, 22_838,
        ],
        &[
            6_488, 242, 6_066, 17_565, 11_871, 14_166, 15_997, 22_676, 16_679, 14_045, 9_791,
            27_656,
        ],
        &[
            1_466, 6_147, 348, 12_710, 7_115, 9_376, 10_789, 18_872, 21_037, 19_763, 14_343, 22_741,
        ],
        &[
            11_645, 17_713, 12_549, 304, 18_112, 20_567, 21_844, 30_101, 32_405, 31_285, 25_659,
            33_309,
        ],
        &[
            6_916, 11_963, 7_101, 18_033, 335, 2_795, 4_428, 12_361, 17_515, 25_773, 20_064, 16_493,
        ],
        &[
            9_140, 14_114, 9_270, 20_472, 2_559, 295, 2_203, 13_115, 16_075, 24_836, 22_535, 16_459,
        ],
        &[
            11_211, 16_004, 10_860, 21_852, 4_305, 2_411, 287, 15_105, 17_753, 29_855, 24_295,
            18_133,
        ],
        &[
            18_695, 22_461, 18_959, 29_935, 12_452, 13_039, 15_028, 379, 6_087, 15_174, 13_469,
            16_340,
        ],
        &[
            21_315, 16_597, 21_171, 32_352, 17_275, 15_794, 17_777, 5_987, 391, 9_435, 7_509,
            22_095,
        ],
        &[
            19_906, 14_141, 19_863, 31_436, 25_764, 25_069, 29_719, 15_308, 9_613, 264, 10_792,
            41_799,
        ],
        &[
            14_675, 9_804, 14_439, 25_625, 20_212, 22_375, 24_382, 13_385, 7_206, 10_917, 218,
            36_051,
        ],
        &[
            22_080, 27_223, 22_221, 33_130, 15_719, 16_120, 17_640, 15_790, 21_487, 41_099, 35_520,
            923,
        ],
    ],
}];

/// The matrix of this name, if there is one.
pub fn matrix(name: &str) -> Option<&'static Matrix> {
    MATRICES.iter().find(|matrix| matrix.name == name)
}

impl Matrix {
    /// The one-way delay between two regions: a quarter of the sum of the round-trip times
    /// measured from either side. `None` if a region is not in the matrix.
    pub fn one_way(&self, from: &str, to: &str) -> Option<Span> {
        let place = |name: &str| self.regions.iter().position(|region| *region == name);
        let (from, to) = (place(from)?, place(to)?);
        let there = u64::from(self.round_trips[from][to]);
        let back = u64::from(self.round_trips[to][from]);
        // A hundredth of a millisecond is ten microseconds.
        Some(Span::from_nanos((there + back) * 10_000 / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_matrix_is_square_and_positive() {
        for matrix in MATRICES {
            assert_eq!(matrix.round_trips.len(), matrix.regions.len());
            for row in matrix.round_trips {
                assert_eq!(row.len(), matrix.regions.len());
                assert!(row.iter().all(|&round_trip| round_trip > 0));
            }
        }
    }

    #[test]
    fn a_delay_is_the_same_both_ways_and_half_the_round_trip() {
        let aws = matrix("aws-2023").unwrap();
        let there = aws.one_way("eu-west-1", "us-east-1").unwrap();
        assert_eq!(there, aws.one_way("us-east-1", "eu-west-1").unwrap());
        // 70.26 ms one way round and 69.16 ms the other.
        assert_eq!(there, Span::from_micros(34_855));
        assert_eq!(aws.one_way("eu-west-1", "atlantis"), None);
    }
}
