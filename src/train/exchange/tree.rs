//! The fixed binary tree in which the parts of a sum are added.
//!
//! A tree of n leaves is one of the first ⌈n/2⌉ leaves and one of the others. Where the leaves are
//! shared out among 2^k processes, the share of each is one of the trees k levels down.

use std::ops::Range;

/// A sum of a known number of parts, which are given in their order.
#[derive(Debug)]
pub(in crate::train) struct Tree<T> {
    count: usize,
    given: usize,
    /// The sums of the branches that are complete and have no complete neighbor yet.
    branches: Vec<T>,
}

impl<T> Tree<T> {
    /// The sum of `count` parts.
    pub(in crate::train) fn new(count: usize) -> Self {
        Self { count, given: 0, branches: Vec::new() }
    }

    /// Gives the next part; `add` adds two neighbors.
    pub(in crate::train) fn give(&mut self, part: T, mut add: impl FnMut(T, T) -> T) {
        let mut sum = part;
        for _ in 0..completed(self.count, self.given) {
            let neighbor = self.branches.pop().expect("a branch stands left of this one");
            sum = add(neighbor, sum);
        }
        self.branches.push(sum);
        self.given += 1;
    }

    /// Whether all parts are given.
    pub(in crate::train) fn is_complete(&self) -> bool {
        self.given == self.count
    }

    /// The sum, once all parts are given; `None` of no parts.
    pub(in crate::train) fn sum(mut self) -> Option<T> {
        debug_assert!(self.is_complete(), "all parts must be given");
        self.branches.pop()
    }
}

/// The leaves of the left one of the two branches of `count` leaves.
fn left(count: usize) -> usize {
    count.div_ceil(2)
}

/// How many branches are complete with leaf `leaf` of `count`, beside the leaf itself.
fn completed(mut count: usize, mut leaf: usize) -> usize {
    let mut completed = 0;
    while count > 1 {
        let left = left(count);
        if leaf < left {
            (count, completed) = (left, 0);
        } else {
            (count, leaf, completed) = (count - left, leaf - left, completed + 1);
        }
    }
    completed
}

/// The leaves among `count` of which process `rank` of `ranks`, a power of two, computes the sum; none
/// where there are too few.
pub(super) fn share(count: usize, rank: usize, ranks: usize) -> Range<usize> {
    let (mut first, mut count, mut ranks, mut rank) = (0, count, ranks, rank);
    while ranks > 1 {
        let left = left(count);
        ranks /= 2;
        if rank < ranks {
            count = left;
        } else {
            (first, count, rank) = (first + left, count - left, rank - ranks);
        }
    }
    first..first + count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(parts: &[String]) -> String {
        let mut tree = Tree::new(parts.len());
        parts.iter().for_each(|part| tree.give(part.clone(), |a, b| format!("({a}{b})")));
        tree.sum().unwrap_or_default()
    }

    fn leaves(count: usize) -> Vec<String> {
        ('a'..).take(count).map(String::from).collect()
    }

    #[test]
    fn neighbors_are_added_first_and_up_to_three_parts_from_left_to_right() {
        let sums = [1, 2, 3, 4, 6, 8].map(|count| added(&leaves(count)));
        let expected =
            ["a", "(ab)", "((ab)c)", "((ab)(cd))", "(((ab)c)((de)f))", "(((ab)(cd))((ef)(gh)))"];
        assert_eq!(sums, expected);
    }

    #[test]
    fn the_shares_of_any_number_of_processes_are_branches_of_the_same_tree() {
        for count in 0..20 {
            let whole = added(&leaves(count));
            for ranks in [1, 2, 4, 8] {
                let shares = (0..ranks).map(|rank| share(count, rank, ranks));
                assert!(shares.clone().flatten().eq(0..count), "{count} among {ranks}");
                let mut sums: Vec<_> = shares.map(|own| added(&leaves(count)[own])).collect();
                while sums.len() > 1 {
                    let join = |pair: &[String]| match [pair[0].as_str(), pair[1].as_str()] {
                        [a, ""] | ["", a] => a.to_string(),
                        [a, b] => format!("({a}{b})"),
                    };
                    sums = sums.chunks(2).map(join).collect();
                }
                assert_eq!(sums[0], whole, "{count} among {ranks}");
            }
        }
    }

    #[test]
    fn equal_shares_follow_each_other() {
        assert_eq!([0, 1, 2, 3].map(|rank| share(8, rank, 4)), [0..2, 2..4, 4..6, 6..8]);
    }
}
