//! What the processes of a run do together.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Exchange, tree};
use crate::error::{Error, Result, ensure};

/// Numbers that are swapped at once: 4 MB.
pub(super) const CHUNK: usize = 1 << 20;

/// What changes no number that it is added to, not even the sign of a zero.
pub(in crate::train) const NOTHING: f32 = -0.0;

/// The processes that do a run together, seen from one of them; by default it is alone, which costs
/// nothing.
///
/// Every method that yields a `Result` waits for all processes, which make the same calls in the same
/// order.
#[derive(Debug, Clone, Default)]
pub struct Ranks {
    exchange: Option<Arc<dyn Exchange>>,
}

impl Ranks {
    /// The processes that `exchange` reaches.
    ///
    /// # Errors
    ///
    /// When their number is no power of two, or this process's number is not below it.
    pub fn new(exchange: impl Exchange + 'static) -> Result<Self> {
        let (rank, ranks) = (exchange.rank(), exchange.ranks());
        ensure!(
            ranks.is_power_of_two(),
            "the number of processes must be a power of two, got {ranks}"
        );
        ensure!(rank < ranks, "process {rank} is not one of {ranks}, which are counted from 0");
        Ok(Self { exchange: (ranks > 1).then(|| Arc::new(exchange) as Arc<dyn Exchange>) })
    }

    /// What reaches the other processes, if there are any.
    pub(super) fn exchange(&self) -> Option<&dyn Exchange> {
        self.exchange.as_deref()
    }

    /// The number of this process, counted from 0.
    pub fn rank(&self) -> usize {
        self.exchange.as_ref().map_or(0, |exchange| exchange.rank())
    }

    /// How many processes there are.
    pub fn ranks(&self) -> usize {
        self.exchange.as_ref().map_or(1, |exchange| exchange.ranks())
    }

    /// Whether this is the process that writes files and reports.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Which of the `count` parts of a sum this process computes.
    pub(in crate::train) fn share(&self, count: usize) -> Range<usize> {
        tree::share(count, self.rank(), self.ranks())
    }

    /// Refuses steps of fewer than a micro-batch for each process.
    pub(in crate::train) fn check(&self, accumulation: usize, batch_size: usize) -> Result<()> {
        let ranks = self.ranks();
        if accumulation >= ranks {
            return Ok(());
        }
        let images = accumulation * batch_size;
        let advice = match images / ranks {
            0 => format!("use at most {accumulation}, or larger steps"),
            size => format!(
                "for steps of about as many images in {ranks} micro-batches set the batch size to \
                 {size} and recipe.accumulation to {ranks} (--batch-size {size} --accumulation {ranks})"
            ),
        };
        Err(Error::config(format!(
            "{ranks} processes share out the micro-batches of a step, and a step has \
             {accumulation} of {batch_size} images: {advice}"
        )))
    }

    /// Replaces `values` by their sums over all processes, to the same bits on each: neighbors add
    /// theirs first, then pairs of neighbors.
    ///
    /// # Errors
    ///
    /// When another process has ended.
    pub fn sum(&self, values: &mut [f32]) -> Result<()> {
        self.sum_in(values, &mut Vec::new())
    }

    /// The same with `room` for what is received, which grows as it is needed.
    pub(in crate::train) fn sum_in(&self, values: &mut [f32], room: &mut Vec<f32>) -> Result<()> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        room.resize(room.len().max(CHUNK.min(values.len())), 0.0);
        let mut distance = 1;
        while distance < exchange.ranks() {
            let partner = exchange.rank() ^ distance;
            for chunk in values.chunks_mut(CHUNK) {
                let received = &mut room[..chunk.len()];
                exchange.swap(partner, chunk, received)?;
                chunk.iter_mut().zip(received).for_each(|(own, others)| *own += *others);
            }
            distance *= 2;
        }
        Ok(())
    }

    /// Waits until all processes are here.
    ///
    /// # Errors
    ///
    /// When another process has ended.
    pub fn wait(&self) -> Result<()> {
        self.sum(&mut [0.0])
    }

    /// The texts of all processes, by their numbers.
    fn gather(&self, text: &str) -> Result<Vec<String>> {
        let (rank, ranks) = (self.rank(), self.ranks());
        // Lengths in two parts, which are whole numbers of f32.
        let mut lengths = vec![NOTHING; 2 * ranks];
        lengths[2 * rank] = (text.len() >> 20) as f32;
        lengths[2 * rank + 1] = (text.len() & 0xf_ffff) as f32;
        self.sum(&mut lengths)?;
        let length = |pair: &[f32]| ((pair[0] as usize) << 20) + pair[1] as usize;
        let lengths: Vec<_> = lengths.chunks(2).map(length).collect();
        let mut bytes = vec![NOTHING; lengths.iter().sum()];
        let start: usize = lengths[..rank].iter().sum();
        for (place, byte) in bytes[start..].iter_mut().zip(text.bytes()) {
            *place = f32::from(byte);
        }
        self.sum(&mut bytes)?;
        let mut bytes = bytes.into_iter().map(|byte| byte as u8);
        let mut read = |length| bytes.by_ref().take(length).collect::<Vec<u8>>();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(lengths.into_iter().map(|length| text(read(length))).collect())
    }

    /// What the first process makes of `work`; the others do nothing and get the same. A fault is that
    /// of all.
    ///
    /// # Errors
    ///
    /// The fault of `work`, on the other processes as an [`Error::Process`]; when a process has ended.
    pub fn first<T: Serialize + DeserializeOwned>(
        &self,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.exchange.is_none() {
            return work();
        }
        if !self.is_first() {
            let done: Result<T> = self.together(Ok(())).and_then(|()| {
                let text = self.gather("")?.swap_remove(0);
                let unreadable = |error| Error::config(format!("process 0 said {text}: {error}"));
                serde_json::from_str(&text).map_err(unreadable)
            });
            return done;
        }
        let done = work().and_then(|done| {
            let text = serde_json::to_string(&done);
            Ok((done, text.map_err(|error| Error::config(error.to_string()))?))
        });
        let (done, text) = self.together(done)?;
        self.gather(&text)?;
        Ok(done)
    }

    /// What each process makes of `work`, the others after the first: what that one downloads, they find.
    ///
    /// # Errors
    ///
    /// The own fault of `work`, or the first process's as an [`Error::Process`]; when a process has
    /// ended.
    pub fn after_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match self.is_first() {
            true => self.together(work()),
            false => self.together(Ok(())).and_then(|()| work()),
        }
    }

    /// `result` if it is a success on every process, and otherwise a fault on every process.
    ///
    /// # Errors
    ///
    /// The own fault, or that of the first process that has one, as an [`Error::Process`]; when a
    /// process has ended.
    pub fn together<T>(&self, result: Result<T>) -> Result<T> {
        if self.exchange.is_none() {
            return result;
        }
        let own = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let faults = self.gather(&own)?;
        let done = result?;
        match faults.into_iter().enumerate().find(|(_, fault)| !fault.is_empty()) {
            Some((rank, reason)) => Err(Error::Process { rank, reason }),
            None => Ok(done),
        }
    }

    /// The `texts` of all processes, in the order of their numbers.
    pub(in crate::train) fn all(&self, texts: Vec<String>) -> Result<Vec<String>> {
        if self.exchange.is_none() {
            return Ok(texts);
        }
        // Where all have none, which is the rule, nothing more is said.
        let said =
            if texts.is_empty() { String::new() } else { serde_json::json!(texts).to_string() };
        let read = |text: String| serde_json::from_str::<Vec<String>>(&text).unwrap_or_default();
        Ok(self.gather(&said)?.into_iter().flat_map(read).collect())
    }

    /// Refuses to go on unless `text`, which says `what`, is the same on every process.
    pub(crate) fn agree(&self, what: &str, text: String) -> Result<()> {
        if self.exchange.is_none() {
            return Ok(());
        }
        let first = self.first(|| Ok(text.clone()))?;
        self.together(match first == text {
            true => Ok(()),
            false => Err(Error::config(format!(
                "process {} has other {what} than process 0: all need the same program, images and \
                 flags, and a folder for the run that all of them see",
                self.rank()
            ))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{on_each, thread_ranks};
    use super::*;

    #[test]
    fn neighbors_are_added_first_and_all_get_the_same_bits() {
        // In f32, 1 + 2^24 is 2^24: an order that begins in the middle gives other bits.
        let values = [1.0f32, 1.0, 16_777_216.0, -16_777_216.0];
        let sums = on_each(4, |ranks| {
            let mut sum = [values[ranks.rank()], NOTHING];
            ranks.sum(&mut sum).unwrap();
            sum.map(f32::to_bits)
        });
        assert_eq!(sums, [[2.0f32.to_bits(), NOTHING.to_bits()]; 4]);
    }

    #[test]
    fn sums_of_more_numbers_than_are_swapped_at_once_are_whole() {
        let sums = on_each(2, |ranks| {
            let mut values: Vec<_> = (0..CHUNK + 5).map(|index| index as f32).collect();
            ranks.sum(&mut values).unwrap();
            values.into_iter().enumerate().all(|(index, sum)| sum == 2.0 * index as f32)
        });
        assert_eq!(sums, [true, true]);
    }

    #[test]
    fn what_the_first_does_all_know_and_its_fault_is_everybodys() {
        let known = on_each(4, |ranks| {
            assert_eq!(ranks.is_first(), ranks.rank() == 0);
            ranks.first(|| Ok((ranks.rank(), 0.1f64, "é".repeat(9)))).unwrap()
        });
        assert_eq!(known, vec![(0, 0.1, "é".repeat(9)); 4]);
        let faults = on_each(2, |ranks| {
            let failed: Result<()> = ranks.first(|| Err(Error::data("disk", "is full")));
            failed.unwrap_err().to_string()
        });
        assert_eq!(faults, ["disk: is full", "process 0: disk: is full"]);
    }

    #[test]
    fn the_fault_of_one_is_told_by_all_and_texts_of_some_are_known_to_all() {
        let faults = on_each(4, |ranks| {
            let own = if ranks.rank() == 2 { Err(Error::config("no")) } else { Ok(()) };
            ranks.together(own).unwrap_err().to_string()
        });
        assert_eq!(faults[2], "invalid configuration: no");
        assert_eq!(faults[0], "process 2: invalid configuration: no");
        let texts = on_each(2, |ranks| {
            assert_eq!(ranks.all(vec![]).unwrap(), Vec::<String>::new());
            ranks.all(vec![ranks.rank().to_string(); ranks.rank()]).unwrap()
        });
        assert_eq!(texts, [["1"], ["1"]]);
        let differ = on_each(2, |ranks| ranks.agree("weights", ranks.rank().to_string()));
        assert!(
            differ[0].as_ref().unwrap_err().to_string().contains("process 1 has other weights")
        );
    }

    #[test]
    fn one_that_waits_for_another_that_has_ended_is_told() {
        let ended = on_each(2, |ranks| match ranks.rank() {
            0 => ranks.wait().unwrap_err().to_string(),
            _ => String::new(),
        });
        assert_eq!(ended[0], "process 1: has ended before the others");
    }

    #[test]
    fn steps_without_a_micro_batch_for_each_are_refused_with_what_to_do() {
        let refused = on_each(4, |ranks| {
            ranks.check(4, 16).unwrap();
            let none = ranks.check(1, 2).unwrap_err().to_string();
            assert!(none.ends_with("of 2 images: use at most 1, or larger steps"), "{none}");
            ranks.check(1, 64).unwrap_err().to_string()
        });
        assert!(refused[0].contains("a step has 1 of 64 images"), "{}", refused[0]);
        assert!(refused[0].contains("--batch-size 16 --accumulation 4"), "{}", refused[0]);
        let odd = thread_ranks(3).unwrap_err().to_string();
        assert!(odd.contains("must be a power of two, got 3"), "{odd}");
    }
}
