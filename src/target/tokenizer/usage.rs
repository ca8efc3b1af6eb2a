//! How much of its vocabulary a tokenizer uses.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A tokenizer that uses fewer than one in this many tokens has collapsed.
const COLLAPSED_SHARE: usize = 10;

/// How often each token of a vocabulary was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodebookUsage {
    counts: Vec<u64>,
}

impl CodebookUsage {
    /// Nothing seen yet of `vocabulary` tokens.
    pub fn new(vocabulary: usize) -> Self {
        Self { counts: vec![0; vocabulary] }
    }

    /// Counts `ids`.
    ///
    /// # Panics
    ///
    /// When one is not of the vocabulary.
    pub fn add(&mut self, ids: impl IntoIterator<Item = usize>) {
        for id in ids {
            assert!(id < self.counts.len(), "token {id} of a vocabulary of {}", self.counts.len());
            self.counts[id] += 1;
        }
    }

    /// Tokens there are.
    pub fn vocabulary(&self) -> usize {
        self.counts.len()
    }

    /// Tokens seen at least once.
    pub fn used(&self) -> usize {
        self.counts.iter().filter(|&&count| count > 0).count()
    }

    /// e to the entropy of the tokens: how many equally frequent tokens would be as varied.
    pub fn perplexity(&self) -> f64 {
        let total = self.counts.iter().sum::<u64>().max(1) as f64;
        let shares = self.counts.iter().map(|&count| count as f64 / total);
        let entropy: f64 = shares.filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum();
        entropy.exp()
    }

    /// The share of the most frequent token.
    pub fn most_frequent(&self) -> f64 {
        let total = self.counts.iter().sum::<u64>().max(1) as f64;
        self.counts.iter().copied().max().unwrap_or(0) as f64 / total
    }

    /// Refuses a collapsed codebook, one that uses less than a tenth of its tokens: what is trained
    /// to predict them learns next to nothing.
    ///
    /// # Errors
    ///
    /// When it has collapsed; says how far, and what helps.
    pub fn check(&self) -> Result<()> {
        if self.used() * COLLAPSED_SHARE >= self.vocabulary() {
            return Ok(());
        }
        Err(Error::config(format!(
            "the tokenizer has collapsed: {self}. Train it for longer, give it a smaller vocabulary \
             or, for a dVAE, another KL weight"
        )))
    }
}

impl std::fmt::Display for CodebookUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} tokens are used, perplexity {:.1}, the most frequent one is {:.1} % of all",
            self.used(),
            self.vocabulary(),
            self.perplexity(),
            100.0 * self.most_frequent()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(vocabulary: usize, ids: &[usize]) -> CodebookUsage {
        let mut usage = CodebookUsage::new(vocabulary);
        usage.add(ids.iter().copied());
        usage
    }

    #[test]
    fn equally_frequent_tokens_have_their_number_as_perplexity() {
        let usage = usage(8, &[1, 3, 5, 7, 7, 5, 3, 1]);
        assert_eq!((usage.used(), usage.most_frequent()), (4, 0.25));
        assert!((usage.perplexity() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_codebook_of_which_less_than_a_tenth_is_used_has_collapsed() {
        usage(20, &[3, 4]).check().unwrap();
        let message = usage(21, &[3, 4, 4, 4]).check().unwrap_err().to_string();
        assert!(message.contains("collapsed: 2 of 21 tokens are used"), "{message}");
        assert!(message.contains("75.0 %"), "{message}");
        assert!(usage(5, &[]).check().is_err());
    }

    #[test]
    #[should_panic(expected = "token 5 of a vocabulary of 5")]
    fn a_token_of_another_vocabulary_panics() {
        usage(5, &[5]);
    }
}
