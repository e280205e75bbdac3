use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

/// The largest rank sum that is significant at these (two-sided) levels, by the published tables of Wilcoxon's test: the
/// quantile is the next one.
#[test]
fn quantiles_are_those_of_the_tables() {
    for (pairs, at_5_percent, at_1_percent) in
        [(8, 3, 0), (9, 5, 1), (10, 8, 3), (12, 13, 7), (15, 25, 15), (20, 52, 37), (25, 89, 68)]
    {
        assert_eq!(signed_rank_quantile(pairs, 0.025), at_5_percent + 1, "{pairs} pairs, 5 %");
        assert_eq!(signed_rank_quantile(pairs, 0.005), at_1_percent + 1, "{pairs} pairs, 1 %");
    }
}

/// Where `scipy.stats.wilcoxon` (1.17.1, `method="exact"`) stops to reject at 1 %: the ends of the interval.
#[test]
fn intervals_are_those_of_scipys_test() {
    let twelve =
        [0.0754, 0.069, 0.1245, 0.1178, 0.1053, 0.0535, 0.0985, 0.1348, 0.0328, 0.0771, 0.0049, 0.0355];
    let sixteen = [
        0.0079, 0.0882, 0.0366, 0.1136, 0.1078, 0.0907, -0.0258, 0.0731, 0.0976, 0.1057, 0.0235, 0.0761,
        0.0511, 0.0596, 0.153, 0.0596,
    ];
    for (logs, low, high) in [(&twelve[..], 0.036_95, 0.116_65), (&sixteen[..], 0.0359, 0.102_15)] {
        let found = ratio(logs).unwrap();
        assert!((found.low.ln() - low).abs() < 1e-9, "{found:?}");
        assert!((found.high.ln() - high).abs() < 1e-9, "{found:?}");
    }
}

#[test]
fn eight_pairs_are_the_fewest() {
    assert_eq!(ratio(&[0.1; FEWEST - 1]), None);
    // All that eight pairs can show: the interval reaches from the least to the greatest.
    let logs: Vec<f64> = (1..=8_u8).map(f64::from).map(|x| x / 100.0).collect();
    let found = ratio(&logs).unwrap();
    assert!((found.low.ln() - 0.01).abs() < 1e-12 && (found.high.ln() - 0.08).abs() < 1e-12, "{found:?}");
}

#[test]
fn a_wild_pair_does_not_move_the_ratio_away() {
    let mut logs = vec![0.1; 12];
    logs[3] = 5.0;
    let found = ratio(&logs).unwrap();
    assert!((found.value.ln() - 0.1).abs() < 1e-12, "{found:?}");
}

#[test]
fn an_outlier_is_far_and_much() {
    // A hair's breadth above others that agree to the last bit.
    assert!(fence(&[1.0, 1.0, 1.0, 1.0, 1.0]) >= 1.19);
    let noisy = [1.0, 1.1, 0.9, 1.2, 0.8, 1.05, 0.95];
    assert!((1.2..2.0).contains(&fence(&noisy)), "{}", fence(&noisy));
}

/// Noise as servers make it: mostly a few percent, now and then a stall.
fn noise(rng: &mut TestRng, sigma: f64) -> f64 {
    let mut uniform = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
    let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let stall = if uniform() < 0.05 { 10.0 } else { 1.0 };
    normal * sigma * stall
}

/// Of intervals of 99 %, no more than a few in a hundred miss the truth, whether there is anything to find or not, and
/// a slowdown of 10 % is told from none where the noise is a few percent.
#[test]
fn intervals_cover_what_is_true_as_often_as_they_say() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for truth in [1.0_f64, 1.1] {
        let (mut covered, mut told) = (0, 0);
        for _ in 0..1_000 {
            let logs: Vec<f64> =
                (0..16).map(|_| truth.ln() + noise(&mut rng, 0.02) - noise(&mut rng, 0.02)).collect();
            let found = ratio(&logs).unwrap();
            covered += u32::from(found.covers(truth));
            told += u32::from(!found.covers(1.0));
        }
        assert!(covered >= 980, "{truth}: {covered} of 1000");
        assert!(if truth > 1.0 { told >= 900 } else { told <= 20 }, "{truth}: {told} of 1000 exclude 1");
    }
}

proptest! {
    #[test]
    fn the_interval_holds_the_ratio_and_lies_within_the_pairs(logs in prop::collection::vec(-1.0_f64..1.0, FEWEST..40)) {
        let found = ratio(&logs).unwrap();
        prop_assert!(found.covers(found.value));
        let least = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(least <= found.low.ln() + 1e-9 && found.high.ln() <= greatest + 1e-9);
    }

    #[test]
    fn the_other_way_round_is_the_inverse(logs in prop::collection::vec(-1.0_f64..1.0, FEWEST..30)) {
        let (found, turned) = (ratio(&logs).unwrap(), ratio(&logs.iter().map(|log| -log).collect::<Vec<_>>()).unwrap());
        prop_assert!((found.value * turned.value - 1.0).abs() < 1e-9);
        prop_assert!((found.low * turned.high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_same_slowdown_everywhere_moves_everything_alike(
        logs in prop::collection::vec(-1.0_f64..1.0, FEWEST..30), slower in 1.0_f64..3.0,
    ) {
        let moved: Vec<f64> = logs.iter().map(|log| log + slower.ln()).collect();
        let (found, moved) = (ratio(&logs).unwrap(), ratio(&moved).unwrap());
        prop_assert!((moved.value / found.value - slower).abs() < 1e-9);
        prop_assert!((moved.high / found.high - slower).abs() < 1e-9);
    }

    #[test]
    fn at_most_half_of_the_values_are_outliers(values in prop::collection::vec(0.001_f64..100.0, 1..40)) {
        let bound = fence(&values);
        prop_assert!(values.iter().filter(|value| **value > bound).count() * 2 <= values.len());
    }
}
