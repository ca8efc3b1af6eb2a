//! What a signal does to a run of a whole process, and what becomes of its report.
#![cfg(unix)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The example `name`, which `cargo test` has built beside this test; of its own, small options.
fn example(name: &str, out: &Path) -> Command {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests.parent().unwrap().with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is missing: build the examples first", path.display());
    let mut command = Command::new(path);
    let data = out.join("images");
    write_images(&data);
    let data = format!("idx:{}", data.display());
    command.args(["--batch-size", "16", "--image-size", "16", "--data", &data]);
    command.arg("--out").arg(out).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// IDX files of 64 small images to train on and 16 to test on.
fn write_images(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (split, count) in [("train", 64u32), ("t10k", 16)] {
        let header = [0x0803, count, 16, 16].map(u32::to_be_bytes).concat();
        let pixels = (0..count * 256).map(|i| (i * i % 251) as u8);
        let images = header.into_iter().chain(pixels).collect::<Vec<_>>();
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), images).unwrap();
        let header = [0x0801, count].map(u32::to_be_bytes).concat();
        let labels = header.into_iter().chain((0..count).map(|i| (i % 10) as u8));
        let labels = labels.collect::<Vec<_>>();
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Starts a run that does not end by itself, and waits for its first finished epoch.
fn started(out: &Path, epochs: &str) -> Child {
    let run = example("mae_cifar10", out).args(["--epochs", epochs]).spawn().unwrap();
    let patience = Instant::now();
    while !out.join("metrics.json").is_file() {
        assert!(patience.elapsed() < Duration::from_secs(300), "the run does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    run
}

#[test]
fn a_signal_saves_and_ends_with_its_own_status() {
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let folder = tempfile::tempdir().unwrap();
        let mut run = started(folder.path(), "100000");
        kill(Pid::from_raw(run.id() as i32), signal).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(status));
    }
}

#[test]
fn a_run_that_is_out_of_time_ends_with_the_status_of_a_later_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let run = |flags: &[&str]| {
        let mut command = example("mae_cifar10", folder.path());
        command.args(["--epochs", "1"]).args(flags).status().unwrap().code()
    };
    assert_eq!(run(&["--max-hours", "1e-9"]), Some(75));
    assert_eq!(run(&["--max-hours", "1e-9", "--resume"]), Some(75));
    assert_eq!(run(&["--max-hours", "1", "--resume"]), Some(0));
}

#[test]
fn a_second_run_in_the_folder_is_refused_by_the_first_ones_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = started(folder.path(), "100000");
    let second = example("mae_cifar10", folder.path()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&format!("is in use by process {} on ", first.id())), "{said}");
    // Killed without a chance to clean up, it locks nobody out.
    first.kill().unwrap();
    first.wait().unwrap();
    let third = example("mae_cifar10", folder.path()).args(["--epochs", "1"]).status().unwrap();
    assert!(third.success());
}

#[test]
fn a_report_that_nobody_can_read_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut run = example("mae_cifar10", folder.path());
    let status = run.args(["--epochs", "1"]).stdout(full()).stderr(full()).status().unwrap();
    assert!(status.success(), "{status}");
    assert!(fs::exists(folder.path().join("metrics.json")).unwrap());
}
