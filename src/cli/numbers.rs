//! Numbers on a command line, refused where nothing could be done with them.

/// Side of an image in pixels beyond which one no longer fits into memory as a batch.
const LARGEST_SIDE: usize = 4096;

/// More threads than any machine has use for.
const MOST_WORKERS: usize = 1024;

/// A whole number of at least 1.
///
/// # Errors
///
/// When `text` is something else.
pub fn positive(text: &str) -> Result<usize, String> {
    within(text, 1, u32::MAX as usize)
}

/// The side of an image in pixels.
///
/// # Errors
///
/// When `text` is something else.
pub fn side(text: &str) -> Result<usize, String> {
    within(text, 1, LARGEST_SIDE)
}

/// A number of threads; with 0 batches are made on the training thread.
///
/// # Errors
///
/// When `text` is something else.
pub fn workers(text: &str) -> Result<usize, String> {
    within(text, 0, MOST_WORKERS)
}

/// A share of the patches: more than none, less than all.
///
/// # Errors
///
/// When `text` is something else.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        Ok(_) => Err("it must be above 0 and below 1".to_string()),
        Err(error) => Err(format!("{error}")),
    }
}

/// A learning rate.
///
/// # Errors
///
/// When `text` is something else.
pub fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        Ok(_) => Err("it must be a finite number above 0".to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A size in bytes: a whole number, alone or with `KB`, `MB`, `GB` or `TB` (powers of 1000) behind it.
///
/// # Errors
///
/// When `text` is something else.
pub fn bytes(text: &str) -> Result<u64, String> {
    let units =
        [("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
    let with_unit = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = with_unit.unwrap_or((text, 1));
    let number: u64 = number.trim_end().parse().map_err(|error| format!("{error}"))?;
    match number.checked_mul(unit) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("it must be at least 1 byte and less than 16 EB".to_string()),
    }
}

fn within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number: u128 = text.parse().map_err(|error| format!("{error}"))?;
    match usize::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("it must be from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_nothing_can_be_done_with_are_refused_with_their_range() {
        assert_eq!(positive("3"), Ok(3));
        assert_eq!(positive("0").unwrap_err(), "it must be from 1 to 4294967295");
        assert_eq!(workers("0"), Ok(0));
        let huge = "18446744073709551615";
        assert_eq!(workers(huge).unwrap_err(), "it must be from 0 to 1024");
        assert_eq!(side("100000").unwrap_err(), "it must be from 1 to 4096");
        assert!(positive("many").unwrap_err().contains("invalid digit"));
        assert!(positive(&format!("{huge}{huge}{huge}")).unwrap_err().contains("too large"));
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!((bytes("512"), bytes("300MB")), (Ok(512), Ok(300_000_000)));
        assert_eq!((bytes("1GB"), bytes("2 TB")), (Ok(1_000_000_000), Ok(2_000_000_000_000)));
        for wrong in ["", "GB", "1.5GB", "1gb", "-1", "0MB", "99999999999TB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_and_rates_are_open_intervals() {
        assert_eq!((share("0.75"), rate("1e-3")), (Ok(0.75), Ok(1e-3)));
        for wrong in ["0", "1", "-0.5", "NaN", "2"] {
            assert_eq!(share(wrong).unwrap_err(), "it must be above 0 and below 1", "{wrong}");
        }
        for wrong in ["0", "-1", "NaN", "inf"] {
            assert_eq!(rate(wrong).unwrap_err(), "it must be a finite number above 0", "{wrong}");
        }
    }
}
