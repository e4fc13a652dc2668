//! The mean and how values spread about it, of values up to the largest that there are.

/// The mean; none without values, or where one of them is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    let values = super::finite(values)?;
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    // The sum of values that are as large as can be is infinite, while their mean is not.
    Some(if sum.is_finite() { sum / count } else { values.iter().map(|value| value / count).sum() })
}

/// The sample standard deviation; none of fewer than two values, where one of them is not finite, and
/// where it would be larger than any number.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)? as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if squares.is_finite() {
        return Some((squares / freedom).sqrt());
    }
    // Squares are infinite from 1e154 on: those of shares of the greatest distance are not.
    let distances: Vec<f64> = values.iter().map(|value| value / 2.0 - mean / 2.0).collect();
    let greatest =
        distances.iter().fold(0.0_f64, |greatest, distance| greatest.max(distance.abs()));
    let squares: f64 = distances.iter().map(|distance| (distance / greatest).powi(2)).sum();
    Some(2.0 * greatest * (squares / freedom).sqrt()).filter(|deviation| deviation.is_finite())
}

#[cfg(test)]
mod tests {
    use super::{mean, standard_deviation};

    #[test]
    fn the_largest_values_have_a_mean() {
        assert_eq!(mean(&[1e308, 1e308, 1e308, 1e308]), Some(1e308));
        assert_eq!(mean(&[f64::MAX, -f64::MAX]), Some(0.0));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        for none in [&[][..], &[1.0, f64::INFINITY], &[f64::NAN]] {
            assert_eq!((mean(none), standard_deviation(none)), (None, None), "{none:?}");
        }
        assert_eq!(standard_deviation(&[1e308]), None);
        assert_eq!(standard_deviation(&[1e308, 1e308]), Some(0.0));
        let deviation = standard_deviation(&[1e300, 3e300]).unwrap();
        assert!((deviation / 1e300 - 2_f64.sqrt()).abs() < 1e-12, "{deviation}");
        assert_eq!(standard_deviation(&[f64::MAX, -f64::MAX]), None);
        assert_eq!(standard_deviation(&[2.0, 4.0, 6.0]), Some(2.0));
    }
}
