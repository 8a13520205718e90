#![expect(clippy::float_arithmetic, reason = "floating point is what the whole numbers are compared with")]

use super::support::{allowed, at, call, collector, denied};
use crate::metrics::correlate::Samples;
use crate::metrics::{CorrelateError, Measure, Resolution};
use proptest::prelude::{ProptestConfig, prop, proptest};

const BOTH: [Measure; 2] = [Measure::Requests, Measure::Denied];

fn correlate(pairs: impl IntoIterator<Item = (i128, i128)>) -> Result<i32, CorrelateError> {
    let mut samples = Samples::EMPTY;
    pairs.into_iter().for_each(|(one, other)| samples.push(one, other));
    samples.correlate(BOTH).map(|correlation| correlation.r_milli)
}

/// Pearson's r in floating point, in two passes; none if it is not defined.
fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|pair| of(pair.0 - x, pair.1 - y)).sum::<f64>();
    let (xx, yy, xy) = (sum(&|x, _| x * x), sum(&|_, y| y * y), sum(&|x, y| x * y));
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

#[test]
fn a_line_is_all_and_a_constant_nothing() {
    for scale in [1, 1 << 40, 1 << 90] {
        assert_eq!(correlate((0..60).map(|x| (x, 3 * x * scale + 7))), Ok(1000));
        assert_eq!(correlate((0..8).map(|x| (x * scale, -x))), Ok(-1000));
    }
    assert_eq!(correlate((0..8).map(|x| (x, 5))), Err(CorrelateError::Constant { which: Measure::Denied }));
    assert_eq!(correlate((0..8).map(|x| (0, x))), Err(CorrelateError::Constant { which: Measure::Requests }));
    // The corners of a square do not go together at all.
    assert_eq!(correlate((0..8).map(|x| (x & 1, x >> 1 & 1))), Ok(0));
}

#[test]
fn too_few_slots_are_told_as_such() {
    assert_eq!(correlate((0..7).map(|x| (x, x))), Err(CorrelateError::TooFew { n: 7, needed: 8 }));
    let mut collector = collector();
    let asked = |collector: &crate::metrics::GovernanceCollector, other| {
        collector.correlate_metrics(Measure::Requests, other, Resolution::Second)
    };
    assert_eq!(asked(&collector, Measure::Denied), Err(CorrelateError::TooFew { n: 0, needed: 8 }));
    for second in 0..8 {
        for call_number in 0..=second {
            let decision = if call_number % 2 == 0 { denied() } else { allowed() };
            collector.record_decision(at(2 * second), &call("web", "acme"), &decision);
        }
    }
    let correlation = asked(&collector, Measure::Denied).unwrap();
    assert_eq!((correlation.n, correlation.r_milli), (8, 976));
    // No outcome was told, so no slot has an error rate.
    assert_eq!(asked(&collector, Measure::ErrorRate), Err(CorrelateError::TooFew { n: 0, needed: 8 }));
}

#[test]
fn extreme_values_do_not_overflow() {
    let values = [i128::MAX, i128::MIN, 0, 1, i128::MAX, i128::MIN, 0, -1];
    assert_eq!(correlate(values.map(|value| (value, value))), Ok(1000));
    assert_eq!(correlate((0..100).map(|x| (i128::MAX * (x & 1), -(x & 1)))), Ok(-1000));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
    #[test]
    fn equals_floating_point(
        pairs in prop::collection::vec((-1000..1000_i32, 0..1_000_000_i32), 8..72), mix in 0..4_i32, shift in 0..80_u32,
    ) {
        // From nothing in common to nearly everything.
        let pairs: Vec<_> = pairs.into_iter().map(|(x, y)| (x, x * mix * 300 + y % (1 << (5 * mix + 4)))).collect();
        let floats: Vec<_> = pairs.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
        let told = correlate(pairs.iter().map(|(x, y)| (i128::from(*x) << shift, i128::from(*y))));
        match (told, pearson(&floats)) {
            (Ok(told), Some(r)) => assert!((f64::from(told) - 1000.0 * r).abs() <= 0.5 + 1e-6, "{told} is {r}"),
            (Err(CorrelateError::Constant { .. }), None) => {}
            other => panic!("{other:?}"),
        }
    }
}
