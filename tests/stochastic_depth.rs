//! Drop path draws on the device, from one generator for the whole process: alone in this file.
#![cfg(feature = "train")]

mod common;

use burn_mim::train::Interrupt;
use common::{IMAGE, loader, losses, pretraining, recipe, simmim, weights};

#[test]
fn a_run_with_drop_path_resumes_to_the_same_bits() {
    let mut config = simmim(IMAGE);
    config.encoder.drop_path = 0.3;
    let train = loader(IMAGE, config.mask().unwrap(), true, 2);
    let valid = loader(IMAGE, config.mask().unwrap(), false, 2);
    let folder = tempfile::tempdir().unwrap();
    let whole = pretraining(folder.path(), recipe(2))
        .run(config.init(&mut weights(3)), &train, &valid)
        .unwrap();
    let stop = Interrupt::default();
    stop.request();
    let part = pretraining(folder.path(), recipe(2)).interrupt(stop);
    assert!(part.run(config.init(&mut weights(3)), &train, &valid).unwrap().interrupted);
    let resumed = pretraining(folder.path(), recipe(2))
        .resume(true)
        .run(config.init(&mut weights(8)), &train, &valid)
        .unwrap();
    assert_eq!(losses(&resumed.history), losses(&whole.history));
}
