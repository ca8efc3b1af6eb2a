//! What every kind of input is held to.

use std::cell::RefCell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use burn_mim::Result;
use burn_mim::rng::{Purpose, stream};
use cap::Cap;
use rand::RngExt;

use crate::mutation::mutate;

/// Counts what is allocated, and refuses more than the input under way may take: the process then
/// aborts, and the input is in the folder that was printed.
#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// Memory an input may take: this many bytes, and so many times its own size.
const MEMORY: usize = 256 << 20;
const MEMORY_PER_BYTE: usize = 20;

/// Seconds an input may take in a campaign. In `cargo test` the machine may be busy with others.
const SECONDS: u64 = 5;
const SECONDS_ON_A_BUSY_MACHINE: u64 = 120;

/// Characters an error may have: one line that can be read.
const ERROR: usize = 1000;

/// A good input: files by their path in the folder that is read.
pub(crate) type Seed = Vec<(PathBuf, Vec<u8>)>;

/// The seed whose only file is `name`.
pub(crate) fn file(name: &str, bytes: Vec<u8>) -> Seed {
    vec![(name.into(), bytes)]
}

/// All files below `folder`.
pub(crate) fn folder(folder: &Path) -> Seed {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Reads mutations of `seeds`, in which the files that `may_change` names are damaged.
///
/// `inputs` is how many a plain `cargo test` tries. `read` gets the folder; the unchanged seeds
/// must be read without an error, or nothing would be learnt from the others.
pub(crate) fn fuzz(
    name: &str,
    inputs: u64,
    seeds: &[Seed],
    may_change: impl Fn(&Path) -> bool,
    read: impl Fn(&Path) -> Result<()>,
) {
    let _alone = alone();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    for seed in seeds {
        write(&place, seed);
        read(&place).unwrap_or_else(|error| panic!("{name}: a good input is refused: {error}"));
    }
    let number = |variable: &str| std::env::var(variable).ok().map(|text| text.parse().unwrap());
    let campaign = number("BURN_MIM_FUZZ_INPUTS");
    let seconds = if campaign.is_some() { SECONDS } else { SECONDS_ON_A_BUSY_MACHINE };
    let (inputs, start) = (campaign.unwrap_or(inputs), number("BURN_MIM_FUZZ_SEED").unwrap_or(0));
    let watchdog = Watchdog::start(name, Duration::from_secs(seconds), place.clone());
    let mut refused = 0;
    for input in 0..inputs {
        let mut rng = stream(start, Purpose::Data, 0, input);
        let mut files = seeds[rng.random_range(0..seeds.len())].clone();
        let places: Vec<usize> = (0..files.len()).filter(|&at| may_change(&files[at].0)).collect();
        mutate(&mut files[places[rng.random_range(0..places.len())]].1, &mut rng);
        write(&place, &files);
        watchdog.input.store(input, Ordering::Relaxed);
        match tried(&place, &files, &read) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                refused += 1;
                let kept = !error.contains("panicked") && error.len() <= ERROR;
                assert!(kept, "{name}, input {input}, kept in {}: {error}", place.display());
            }
            Err(panic) => panic!("{name}, input {input}, kept in {}: {panic}", place.display()),
        }
        watchdog.done.fetch_add(1, Ordering::Relaxed);
    }
    println!("{name}: {inputs} inputs, {refused} refused, {} taken", inputs - refused);
    let _ = fs::remove_dir_all(&place);
}

/// Campaigns share the allocator and the panic hook.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(place: &Path, files: &Seed) {
    let _ = fs::remove_dir_all(place);
    for (name, bytes) in files {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What reading comes to: nothing, an error's text, or a panic's.
fn tried(
    place: &Path,
    files: &Seed,
    read: impl Fn(&Path) -> Result<()>,
) -> Result<Result<(), String>, String> {
    thread_local! { static PANIC: RefCell<String> = const { RefCell::new(String::new()) } }
    let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let limit = ALLOCATOR.allocated() + MEMORY + MEMORY_PER_BYTE * size;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| PANIC.set(panic.to_string())));
    ALLOCATOR.set_limit(limit).expect("the limit is above what is allocated");
    let read = catch_unwind(AssertUnwindSafe(|| read(place).map_err(|error| error.to_string())));
    ALLOCATOR.set_limit(usize::MAX).expect("there is no larger limit");
    std::panic::set_hook(hook);
    read.map_err(|_| PANIC.take())
}

/// Ends the process when an input takes too long.
struct Watchdog {
    input: Arc<AtomicU64>,
    done: Arc<AtomicUsize>,
    /// Held while the campaign lasts.
    _over: Arc<()>,
}

impl Watchdog {
    fn start(name: &str, limit: Duration, place: PathBuf) -> Self {
        let (input, done, over) = <(Arc<AtomicU64>, Arc<AtomicUsize>, Arc<()>)>::default();
        let (name, watched) =
            (name.to_string(), (input.clone(), done.clone(), Arc::downgrade(&over)));
        thread::spawn(move || {
            let (input, done, over) = watched;
            let (mut last, mut since) = (0, Instant::now());
            while over.upgrade().is_some() {
                thread::sleep(Duration::from_millis(100));
                let now = done.load(Ordering::Relaxed);
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if since.elapsed() > limit {
                    let input = input.load(Ordering::Relaxed);
                    eprintln!("{name}, input {input}, takes over {limit:?}: {}", place.display());
                    std::process::exit(101);
                }
            }
        });
        Self { input, done, _over: over }
    }
}
