//! Tests of the moving shapes.

use super::*;

const CLIPS: MovingShapes = MovingShapes { len: 200, ..MovingShapes::train() };
const STILL: MovingShapes = MovingShapes { drift: 0.0, noise: 0.0, ..CLIPS };
const FRAME: usize = SIDE * SIDE;

fn clip(clips: MovingShapes, index: usize) -> Image {
    clips.get(index).unwrap().image
}

/// FNV-1a, to pin clips in one number.
fn fingerprint(pixels: &[u8], hash: u64) -> u64 {
    pixels
        .iter()
        .fold(hash, |hash, value| (hash ^ u64::from(*value)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[test]
fn a_clip_is_the_same_bytes_everywhere_and_always() {
    let hash = (0..10).fold(0xcbf2_9ce4_8422_2325, |hash, index| {
        fingerprint(clip(CLIPS, index).bytes().unwrap(), hash)
    });
    assert_eq!(hash, 12_304_862_358_314_738_952);
}

#[test]
fn a_clip_depends_on_seed_split_and_index_but_not_on_the_length() {
    let image = clip(CLIPS, 10);
    assert_eq!((image.frames(), image.frame_shape()), (16, MovingShapes::FRAME));
    assert_eq!(image, clip(MovingShapes { len: 11, ..CLIPS }, 10));
    assert_ne!(image, clip(CLIPS, 20));
    assert_ne!(image, clip(MovingShapes { seed: 6, ..CLIPS }, 10));
    assert_ne!(image, clip(MovingShapes { split: 1, ..CLIPS }, 10));
}

#[test]
fn the_first_frame_is_the_same_whatever_the_motion_is_and_the_second_is_not() {
    for index in 0..10 {
        let clips = Motion::ALL.map(|motion| CLIPS.clip(index, motion).unwrap());
        for (at, clip) in clips.iter().enumerate() {
            assert_eq!(clip.frame(0), clips[0].frame(0));
            for other in &clips[..at] {
                assert_ne!(clip.frame(1), other.frame(1));
            }
        }
    }
}

#[test]
fn the_last_frame_shows_forms_of_all_motions_alike() {
    // Where the last frame's moving pixels lie and how many they are, by class: 60 clips each.
    let clips = MovingShapes { len: 600, ..STILL };
    let mut shares = [[0.0f64; 3]; 10];
    for index in 0..clips.len {
        let motion = clips.motion(index).unwrap();
        let last = &motion[15 * FRAME..];
        let share = |counts: &dyn Fn(usize) -> bool| {
            (0..FRAME).filter(|&at| last[at] && counts(at)).count() as f64 / FRAME as f64 / 60.0
        };
        let class = &mut shares[index % 10];
        class[0] += share(&|_| true);
        class[1] += share(&|at| at % SIDE < SIDE / 2);
        class[2] += share(&|at| at / SIDE < SIDE / 2);
    }
    let mean = |of: usize| shares.iter().map(|share| share[of]).sum::<f64>() / 10.0;
    for (class, share) in shares.iter().enumerate() {
        // A form of 6 to 10 pixels about its center covers 0.05 to 0.2 of a frame; the error of a mean
        // of 60 is about a tenth of the mean, and that of a half's share twice as much.
        assert!((share[0] / mean(0) - 1.0).abs() < 0.3, "class {class}: {share:?}");
        for half in [1, 2] {
            assert!((share[half] / mean(half) - 1.0).abs() < 0.5, "class {class}: {share:?}");
        }
    }
}

#[test]
fn without_drift_and_noise_only_what_is_said_to_move_changes() {
    for index in 0..40 {
        let (image, moves) = (clip(STILL, index), STILL.motion(index).unwrap());
        let (mut changed, mut moving) = (0, 0);
        for frame in 1..16 {
            let [before, after] = [image.frame(frame - 1), image.frame(frame)];
            // Edges are soft, and thin tips reach further than what is half covered.
            let is_near = |at: usize| {
                let (row, col) = (at / SIDE, at % SIDE);
                (SIDE - 5..=SIDE + 5).any(|down| {
                    (SIDE - 5..=SIDE + 5).any(|right| {
                        let near = (row + down) % SIDE * SIDE + (col + right) % SIDE;
                        moves[frame * FRAME + near] || moves[(frame - 1) * FRAME + near]
                    })
                })
            };
            for at in 0..FRAME {
                let differs = (0..3).any(|channel| {
                    before.plane(channel).unwrap()[at] != after.plane(channel).unwrap()[at]
                });
                assert!(!differs || is_near(at), "clip {index}, frame {frame}, pixel {at}");
                moving += usize::from(moves[frame * FRAME + at]);
                changed += usize::from(differs && moves[frame * FRAME + at]);
            }
        }
        assert!(moving > 15 * 25, "clip {index} moves {moving} pixels");
        assert!(changed * 4 > moving, "clip {index} changes {changed} of {moving}");
    }
}

#[test]
fn the_camera_moves_the_ground_and_noise_covers_it() {
    // How much the ground changes from the first frame to the last, in levels, over 20 clips.
    let difference = |clips: MovingShapes| {
        let (mut sum, mut pixels) = (0.0, 0);
        for index in 0..20 {
            let (image, moves) = (clip(clips, index), clips.motion(index).unwrap());
            let [first, last] = [image.frame(0), image.frame(15)];
            let planes = (first.plane(0).unwrap(), last.plane(0).unwrap());
            for at in (0..FRAME).filter(|&at| !moves[at] && !moves[15 * FRAME + at]) {
                sum += f64::from(planes.0[at].abs_diff(planes.1[at]));
                pixels += 1;
            }
        }
        sum / f64::from(pixels)
    };
    // Soft edges of what moves are left: some 40 of 1024 pixels in each of both frames, by some 25 levels.
    let still = difference(STILL);
    assert!(still < 2.5, "{still}");
    // Two numbers from -n to n are 2n/3 apart, for n = 3 on average.
    let noisy = difference(MovingShapes { noise: 6.0, ..STILL }) - still;
    assert!((1.0..3.0).contains(&noisy), "{noisy}");
    let drifting = difference(MovingShapes { drift: 1.0, ..STILL }) - still;
    assert!(drifting > 1.0, "{drifting}");
}

#[test]
fn a_label_map_says_how_each_pixel_moves() {
    for index in 0..10 {
        let map = CLIPS.label_map(index).unwrap().unwrap();
        assert_eq!((map.height(), map.width()), (16 * 32, 32));
        let moves = CLIPS.motion(index).unwrap();
        assert!(map.classes().iter().zip(&moves).all(|(class, moves)| (*class > 0) == *moves));
        let main = map.classes().iter().filter(|class| **class as usize == index + 1).count();
        assert!(2 * main > moves.iter().filter(|moves| **moves).count());
    }
}

#[test]
fn the_standard_data_set_knows_its_splits_classes_and_statistics() {
    let data = MovingShapes::open().unwrap();
    assert_eq!((data.train.len(), data.test.len()), (10_000, 2_000));
    assert_eq!((data.class_names.len(), data.class_names[4].as_str()), (10, "spin-clockwise"));
    assert_eq!(data.train.label(17).unwrap(), Some(7));
    assert!(data.statistics.mean.iter().all(|mean| (0.3..0.7).contains(mean)));
    assert!(data.statistics.std.iter().all(|std| (0.1..0.3).contains(std)));
}

#[test]
fn options_out_of_range_are_refused() {
    let message = |clips: MovingShapes| clips.motion(0).unwrap_err().to_string();
    assert!(message(MovingShapes { frames: 0, ..CLIPS }).contains("at least 1 frame"));
    for drift in [-1.0, 100.0, f32::NAN] {
        assert!(message(MovingShapes { drift, ..CLIPS }).contains("may drift by 0 to 512"));
    }
    assert_eq!(clip(MovingShapes { frames: 1, ..CLIPS }, 0).frames(), 1);
}
