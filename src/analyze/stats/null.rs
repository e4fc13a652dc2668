//! What rank statistics are worth where there is no difference: counted, not approximated.

/// How often each sum occurs, by the sum.
#[derive(Debug, Clone)]
pub(super) struct Counts(Vec<f64>);

impl Counts {
    /// Of the sums of `size` of these whole numbers.
    pub(super) fn of_choices(numbers: &[usize], size: usize) -> Self {
        let most: usize = numbers.iter().sum();
        // `ways[chosen][sum]`, filled one number after the other.
        let mut ways = vec![vec![0.0; most + 1]; size + 1];
        ways[0][0] = 1.0;
        for (seen, number) in numbers.iter().enumerate() {
            for chosen in (1..=size.min(seen + 1)).rev() {
                let (fewer, these) = ways.split_at_mut(chosen);
                for (sum, before) in (*number..=most).zip(&fewer[chosen - 1]) {
                    these[0][sum] += before;
                }
            }
        }
        Self(ways.swap_remove(size))
    }

    /// Of the sums of any of these whole numbers.
    pub(super) fn of_subsets(numbers: &[usize]) -> Self {
        let most: usize = numbers.iter().sum();
        let mut ways = vec![0.0; most + 1];
        ways[0] = 1.0;
        for number in numbers {
            for sum in (*number..=most).rev() {
                ways[sum] += ways[sum - number];
            }
        }
        Self(ways)
    }

    fn all(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The probability of a sum that is at most this one.
    pub(super) fn at_most(&self, sum: usize) -> f64 {
        self.0.iter().take(sum + 1).sum::<f64>() / self.all()
    }

    /// The probability of a sum that is at least this one.
    fn at_least(&self, sum: usize) -> f64 {
        self.0.iter().skip(sum).sum::<f64>() / self.all()
    }

    /// The probability of a sum as far out on either side.
    pub(super) fn two_sided(&self, sum: usize) -> f64 {
        (2.0 * self.at_most(sum).min(self.at_least(sum))).min(1.0)
    }
}

/// Ranks of values from 1, doubled so that those that share one are whole numbers, and the sizes of
/// the groups of equal values.
pub(super) fn doubled_ranks(values: &[f64]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let (mut ranks, mut groups) = (vec![0; values.len()], Vec::new());
    let mut begin = 0;
    for group in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        // The mean of the ranks from begin + 1 to begin + length, doubled.
        let doubled = 2 * begin + group.len() + 1;
        for index in group {
            ranks[*index] = doubled;
        }
        groups.push(group.len());
        begin += group.len();
    }
    (ranks, groups)
}
