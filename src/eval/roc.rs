//! How well a score tells two classes apart.

/// The area under the ROC curve: the probability that a case of the class has a larger score than one
/// that is not of it, where an equal score counts half (Hanley and McNeil 1982). `None` where there are
/// no two such cases.
///
/// ```
/// use burn_mim::eval::area_under_roc;
///
/// // Of the four pairs of a true and a false case, three are in order, and one is even.
/// let area = area_under_roc(&[0.9, 0.5, 0.5, 0.1], &[true, true, false, false]);
/// assert_eq!(area, Some(0.875));
/// ```
///
/// # Panics
///
/// When there is not a truth for each score.
pub fn area_under_roc(scores: &[f32], is_true: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), is_true.len(), "a truth for each score");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut below, mut pairs) = (0usize, 0.0);
    for even in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let ours = even.iter().filter(|&&at| is_true[at]).count();
        let others = even.len() - ours;
        pairs += ours as f64 * (below as f64 + 0.5 * others as f64);
        below += others;
    }
    let ours = scores.len() - below;
    (ours > 0 && below > 0).then(|| pairs / (ours as f64 * below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_that_of_scikit_learn() {
        // sklearn.metrics.roc_auc_score of these.
        let scores = [0.1, 0.4, 0.35, 0.8];
        assert_eq!(area_under_roc(&scores, &[false, false, true, true]), Some(0.75));
        let scores = [3.0, 3.0, 3.0];
        assert_eq!(area_under_roc(&scores, &[false, true, true]), Some(0.5));
    }

    #[test]
    fn of_one_class_alone_there_is_no_area() {
        assert_eq!(area_under_roc(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(area_under_roc(&[], &[]), None);
    }
}
