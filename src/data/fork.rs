//! Work on a few things at once, on threads that end with it.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

/// The least work that is worth a thread: starting one takes a few tens of microseconds.
pub(crate) const WORTH: Duration = Duration::from_micros(100);

/// How many tasks each thread gets at a time: enough for the slow ones to even out.
pub(crate) const TASKS: usize = 4;

/// The results of `work` on each of `tasks`, in their order, on as many as `threads` threads. `S` is
/// what each thread has for itself.
pub(crate) fn on_threads<T: Send, S: Default, R: Send>(
    threads: usize,
    tasks: Vec<T>,
    work: impl Fn(T, &mut S) -> R + Sync,
) -> Vec<R> {
    let one_after_the_other = |tasks: Vec<T>| -> Vec<R> {
        let mut own = S::default();
        tasks.into_iter().map(|task| work(task, &mut own)).collect()
    };
    let each = tasks.len().div_ceil(threads.max(1));
    if each >= tasks.len() {
        return one_after_the_other(tasks);
    }
    let mut tasks = tasks.into_iter();
    thread::scope(|scope| {
        let mut started = Vec::new();
        loop {
            let part: Vec<T> = tasks.by_ref().take(each).collect();
            if part.is_empty() {
                break;
            }
            started.push(scope.spawn(|| one_after_the_other(part)));
        }
        let ended = started.into_iter().map(|thread| thread.join());
        ended.flat_map(|results| results.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn results_are_in_the_order_of_the_tasks_on_any_number_of_threads() {
        let expected: Vec<usize> = (0..23).map(|task| task * task).collect();
        for threads in [0, 1, 2, 5, 23, 99] {
            let results =
                on_threads(threads, (0..23).collect(), |task: usize, count: &mut usize| {
                    *count += 1;
                    assert!(*count <= 23_usize.div_ceil(threads.max(1)));
                    task * task
                });
            assert_eq!(results, expected, "{threads} threads");
        }
        assert!(on_threads(3, Vec::<u8>::new(), |task, ()| task).is_empty());
    }

    #[test]
    fn a_panic_is_that_of_the_work() {
        let work = |task: u8, (): &mut ()| assert!(task != 5, "no use for {task}");
        let panic = catch_unwind(AssertUnwindSafe(|| on_threads(3, (0..9).collect(), work)));
        assert_eq!(panic.unwrap_err().downcast_ref::<String>().unwrap(), "no use for 5");
    }
}
