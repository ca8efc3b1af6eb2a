//! Looking at many samples on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

/// The results of `look` for each of `places`, in their order, up to the first that `ends`.
///
/// It runs on as many threads as the machine has processors; the result is the same as on one
/// thread. `progress` hears, on the caller's thread, how many are done.
pub(crate) fn scan<T: Send>(
    places: &[usize],
    look: impl Fn(usize) -> T + Sync,
    ends: impl Fn(&T) -> bool + Sync,
    progress: &mut dyn FnMut(usize),
) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(places.len());
    let (next, end) = (AtomicUsize::new(0), AtomicUsize::new(places.len()));
    let mut seen: Vec<Option<T>> = places.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..threads {
            let (sender, look, ends) = (sender.clone(), &look, &ends);
            let (next, end) = (&next, &end);
            scope.spawn(move || {
                loop {
                    // Places are handed out in order, so all before an end are looked at.
                    let nth = next.fetch_add(1, Ordering::SeqCst);
                    if nth >= end.load(Ordering::SeqCst) {
                        return;
                    }
                    let found = look(places[nth]);
                    if ends(&found) {
                        end.fetch_min(nth + 1, Ordering::SeqCst);
                    }
                    if sender.send((nth, found)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (done, (nth, found)) in receiver.into_iter().enumerate() {
            seen[nth] = Some(found);
            progress(done + 1);
        }
    });
    seen.truncate(end.into_inner());
    seen.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_seen_once_and_in_order() {
        let places: Vec<usize> = (0..100).map(|nth| 3 * nth).collect();
        let mut heard = Vec::new();
        let seen = scan(&places, |place| place + 1, |_| false, &mut |done| heard.push(done));
        assert_eq!(seen, places.iter().map(|place| place + 1).collect::<Vec<_>>());
        assert_eq!(heard, (1..=100).collect::<Vec<_>>());
        assert!(scan(&[], |place| place, |_| false, &mut |_| {}).is_empty());
    }

    #[test]
    fn the_first_end_is_the_last_seen() {
        let places: Vec<usize> = (0..200).collect();
        for _ in 0..20 {
            let seen = scan(&places, |place| place, |place| place % 50 == 37, &mut |_| {});
            assert_eq!(seen, (0..=37).collect::<Vec<_>>());
        }
    }
}
