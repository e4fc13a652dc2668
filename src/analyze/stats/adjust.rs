//! Many cells at once.

/// Each probability held against the number of them, by Holm's method: the chance that any of them
/// is a false alarm stays what it is for one.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut adjusted = vec![0.0; probabilities.len()];
    let mut greatest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        let weighed = probabilities[index] * (probabilities.len() - rank) as f64;
        greatest = greatest.max(weighed.min(1.0));
        adjusted[index] = greatest;
    }
    adjusted
}

/// The geometric mean of positive ratios; none without any, and where one is not positive.
pub fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    let is_fit = !ratios.is_empty() && ratios.iter().all(|r| *r > 0.0 && r.is_finite());
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    is_fit.then(|| (logarithms / ratios.len() as f64).exp())
}
