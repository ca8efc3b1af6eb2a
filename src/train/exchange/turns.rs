//! Work whose pieces processes do in turns, and of which the first process collects the results.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ranks::CHUNK;
use super::{Exchange, Ranks};
use crate::error::{Error, Result};

/// The result of a piece of work, which another process can hand to the first one.
pub(crate) trait Piece: Sized {
    /// What is said of its numbers.
    type About: Serialize + DeserializeOwned;

    /// What is sent of it.
    fn apart(self) -> (Self::About, Vec<f32>);

    /// What was sent of it.
    fn whole(about: Self::About, numbers: Vec<f32>) -> Self;
}

impl Ranks {
    /// Collects what all processes make: the first process hands each piece to `take`, in the order in
    /// which one process alone would make them. `own` makes the pieces of this process: those with its
    /// number, and every so many after it as there are processes. None is made before it is asked for,
    /// and no process is ahead by more than one.
    ///
    /// # Errors
    ///
    /// The own fault, or that of another process, which ends the work of all, as an
    /// [`Error::Process`]; when one of them was asked to stop; when a process has ended.
    pub(crate) fn in_turns<P: Piece>(
        &self,
        mut own: impl Iterator<Item = Result<P>>,
        mut take: impl FnMut(P) -> Result<()>,
    ) -> Result<()> {
        let Some(exchange) = self.exchange() else {
            return own.try_for_each(|piece| take(piece?));
        };
        if !self.is_first() {
            return hand_in(exchange, own);
        }
        loop {
            let Some(piece) = own.next() else { return last_word(exchange, &Said::end(), None) };
            piece.and_then(&mut take).or_else(|fault| failed(exchange, fault, None))?;
            for rank in 1..exchange.ranks() {
                let heard = talk(exchange, rank, &Said::default())?.heard(rank);
                // A process that says its fault waits for no other word.
                let told = heard.is_err().then_some(rank);
                let taken = heard.and_then(|said| match said.word {
                    Word::Piece => take(said.piece()?),
                    _ => Ok(()),
                });
                taken.or_else(|fault| failed(exchange, fault, told))?;
            }
        }
    }
}

/// Hands the pieces of another process than the first to that one.
fn hand_in<P: Piece>(
    exchange: &dyn Exchange,
    mut own: impl Iterator<Item = Result<P>>,
) -> Result<()> {
    loop {
        let said = own.next().map_or_else(|| Ok(Said::end()), |piece| piece.and_then(Said::of));
        let said = match said {
            Ok(said) => said,
            Err(fault) => {
                talk(exchange, 0, &Said::fault(&fault))?;
                return Err(fault);
            }
        };
        if talk(exchange, 0, &said)?.heard(0)?.word == Word::End {
            return Ok(());
        }
    }
}

/// Says a last word to all processes but the one that has told its fault; each of them waits for it.
fn last_word(exchange: &dyn Exchange, said: &Said, told: Option<usize>) -> Result<()> {
    let others = (1..exchange.ranks()).filter(|rank| Some(*rank) != told);
    let answers: Vec<_> = others
        .map(|rank| talk(exchange, rank, said).and_then(|answer| answer.heard(rank)))
        .collect();
    answers.into_iter().try_for_each(|answer| answer.map(drop))
}

/// The `fault`, which all processes but the one that has `told` it hear.
fn failed<T>(exchange: &dyn Exchange, fault: Error, told: Option<usize>) -> Result<T> {
    // Whatever the others have met: the first fault is the one to report.
    let _ = last_word(exchange, &Said::fault(&fault), told);
    Err(fault)
}

/// What is meant by what a process says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Word {
    /// Here is a piece; of the first process: go on.
    #[default]
    Piece,
    /// There are no more.
    End,
    /// There was a fault.
    Fault,
    /// Somebody asked to stop.
    Stop,
}

/// What one process tells another in a turn.
#[derive(Debug, Default)]
struct Said {
    word: Word,
    text: String,
    numbers: Vec<f32>,
}

impl Said {
    fn end() -> Self {
        Self { word: Word::End, ..Self::default() }
    }

    fn fault(fault: &Error) -> Self {
        let word = if matches!(fault, Error::Interrupted) { Word::Stop } else { Word::Fault };
        Self { word, text: fault.to_string(), ..Self::default() }
    }

    fn of<P: Piece>(piece: P) -> Result<Self> {
        let (about, numbers) = piece.apart();
        let text = serde_json::to_string(&about);
        let text = text.map_err(|error| Error::config(error.to_string()))?;
        Ok(Self { word: Word::Piece, text, numbers })
    }

    fn piece<P: Piece>(self) -> Result<P> {
        let about = serde_json::from_str(&self.text);
        let about = about
            .map_err(|error| Error::config(format!("a process said {}: {error}", self.text)))?;
        Ok(P::whole(about, self.numbers))
    }

    /// What process `rank` has said, unless it is a fault.
    fn heard(self, rank: usize) -> Result<Self> {
        match self.word {
            Word::Piece | Word::End => Ok(self),
            Word::Stop => Err(Error::Interrupted),
            Word::Fault => Err(Error::Process { rank, reason: self.text }),
        }
    }

    /// The lengths are in two parts each, which are whole numbers of f32.
    fn header(&self) -> [f32; 5] {
        let [text, numbers] = [self.text.len(), self.numbers.len()]
            .map(|length| [(length >> 20) as f32, (length & 0xf_ffff) as f32]);
        [self.word as u8 as f32, text[0], text[1], numbers[0], numbers[1]]
    }
}

/// Tells a process something, and hears what it says.
fn talk(exchange: &dyn Exchange, partner: usize, said: &Said) -> Result<Said> {
    let mut header = [0.0; 5];
    exchange.swap(partner, &said.header(), &mut header)?;
    let length = |parts: &[f32]| ((parts[0] as usize) << 20) + parts[1] as usize;
    let [text, numbers] = [length(&header[1..3]), length(&header[3..])];
    let mut own: Vec<f32> = said.text.bytes().map(f32::from).collect();
    own.extend(&said.numbers);
    let most = own.len().max(text + numbers);
    own.resize(most, 0.0);
    let mut theirs = vec![0.0; most];
    for (own, theirs) in own.chunks(CHUNK).zip(theirs.chunks_mut(CHUNK)) {
        exchange.swap(partner, own, theirs)?;
    }
    let bytes = theirs[..text].iter().map(|&byte| byte as u8).collect();
    let word = match header[0] as u8 {
        0 => Word::Piece,
        1 => Word::End,
        2 => Word::Fault,
        _ => Word::Stop,
    };
    theirs.truncate(text + numbers);
    let numbers = theirs.split_off(text);
    Ok(Said { word, text: String::from_utf8(bytes).unwrap_or_default(), numbers })
}

#[cfg(test)]
mod tests {
    use super::super::on_each;
    use super::*;

    /// A number and its name.
    impl Piece for (String, f32) {
        type About = String;

        fn apart(self) -> (String, Vec<f32>) {
            (self.0, vec![self.1; CHUNK / 2])
        }

        fn whole(about: String, numbers: Vec<f32>) -> Self {
            assert!(numbers.len() == CHUNK / 2 && numbers.iter().all(|&n| n == numbers[0]));
            (about, numbers[0])
        }
    }

    /// What the first of `count` processes takes of `pieces`, and what all say in the end. Piece
    /// `bad` cannot be made, and taking piece `full` fails.
    fn collected(
        count: usize,
        pieces: usize,
        bad: Option<(usize, fn() -> Error)>,
        full: Option<usize>,
    ) -> Vec<(Vec<f32>, Result<(), Error>)> {
        on_each(count, |ranks| {
            let own = (ranks.rank()..pieces).step_by(count).map(|piece| match bad {
                Some((at, fault)) if at == piece => Err(fault()),
                _ => Ok((format!("é{piece}"), piece as f32)),
            });
            let mut taken = Vec::new();
            let end = ranks.in_turns(own, |(name, piece)| {
                assert_eq!(name, format!("é{piece}"));
                taken.push(piece);
                if full == Some(piece as usize) {
                    Err(Error::data("disk", "is full"))
                } else {
                    Ok(())
                }
            });
            (taken, end)
        })
    }

    #[test]
    fn the_first_process_takes_the_pieces_of_all_in_the_order_of_one() {
        for count in [1, 2, 4] {
            for pieces in [0, 1, 3, 4, 7, 8] {
                let mut all = collected(count, pieces, None, None).into_iter();
                let expected: Vec<_> = (0..pieces).map(|piece| piece as f32).collect();
                let (taken, end) = all.next().unwrap();
                assert_eq!(taken, expected, "{pieces} by {count}");
                end.unwrap();
                assert!(all.all(|(taken, end)| taken.is_empty() && end.is_ok()));
            }
        }
    }

    #[test]
    fn a_piece_that_cannot_be_made_is_a_fault_of_all_wherever_it_is() {
        for bad in 0..8 {
            let fault = || Error::data("7.png", "is cut");
            let all = collected(4, 8, Some((bad, fault)), None);
            assert_eq!(all[0].0.len(), bad);
            for (rank, (_, end)) in all.into_iter().enumerate() {
                let said = end.unwrap_err();
                assert!(said.to_string().ends_with("7.png: is cut"), "{said}");
                assert_eq!(matches!(said, Error::Process { .. }), rank != bad % 4, "{said}");
            }
        }
    }

    #[test]
    fn what_the_first_cannot_take_is_a_fault_of_all_and_a_wish_to_stop_stops_all() {
        for full in 0..8 {
            let mut all = collected(4, 8, None, Some(full)).into_iter();
            assert_eq!(all.next().unwrap().1.unwrap_err().to_string(), "disk: is full");
            assert!(all.all(|(_, end)| end.unwrap_err().to_string() == "process 0: disk: is full"));
        }
        for asked in [0, 3] {
            let all = collected(2, 4, Some((asked, || Error::Interrupted)), None);
            assert!(all.into_iter().all(|(_, end)| matches!(end, Err(Error::Interrupted))));
        }
    }
}
