//! Inputs: bytes, the words of a dictionary in any order, and valid files changed in a few places.

use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::Index;

/// Largest input that is made: a block that is doubled again and again stays small enough to be quick.
const BYTES_MAX: usize = 32 * 1024;

/// Bytes that print as text.
#[derive(Clone)]
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// The tokens of a dictionary of libFuzzer's: one in quotation marks on each line, with `\\`, `\"` and `\xNN`.
pub fn tokens(dictionary: &str) -> Vec<Vec<u8>> {
    let lines = dictionary.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| token(line).unwrap_or_else(|| panic!("no token: {line}"))).collect()
}

fn token(line: &str) -> Option<Vec<u8>> {
    let mut bytes = line.strip_prefix('"')?.strip_suffix('"')?.bytes();
    let mut token = Vec::new();
    while let Some(byte) = bytes.next() {
        token.push(match byte {
            b'\\' => match bytes.next()? {
                b'x' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                }
                escaped => escaped,
            },
            byte => byte,
        });
    }
    Some(token)
}

/// One change. What the parts mean depends on `what`.
#[derive(Debug, Clone)]
struct Edit {
    what: What,
    at: Index,
    to: Index,
    count: usize,
    byte: u8,
    token: Vec<u8>,
    other: Index,
}

#[derive(Debug, Clone, Copy)]
enum What {
    FlipBit,
    SetByte,
    DeleteBytes,
    DeleteLines,
    Cut,
    InsertToken,
    RepeatToken,
    ReplaceWord,
    SwapWords,
    DoubleLines,
    MoveLines,
    InsertLinesOfOther,
    Splice,
}

pub fn any_input(seeds: Vec<Vec<u8>>, tokens: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    let seeds: Rc<[Vec<u8>]> = seeds.into();
    let token = prop::sample::select(tokens);
    let bytes = prop::collection::vec(any::<u8>(), 0..400);
    let pieces = prop::collection::vec(prop_oneof![4 => token.clone(), 1 => prop::collection::vec(any::<u8>(), 1..4)], 0..60)
        .prop_map(|pieces| pieces.concat());
    let changed = (any::<Index>(), prop::collection::vec(edit(token), 0..8)).prop_map(move |(seed, edits)| {
        let mut bytes = seed.get::<Vec<u8>>(&seeds).clone();
        for edit in &edits {
            apply(edit, &mut bytes, edit.other.get::<Vec<u8>>(&seeds));
            bytes.truncate(BYTES_MAX);
        }
        bytes
    });
    prop_oneof![1 => bytes, 2 => pieces, 12 => changed].prop_map(Input)
}

fn edit(token: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Edit> {
    use What::*;
    let small = prop::sample::select(vec![FlipBit, SetByte, DeleteBytes, InsertToken, ReplaceWord, SwapWords]);
    let large = prop::sample::select(vec![DeleteLines, DoubleLines, MoveLines, InsertLinesOfOther, Splice]);
    let what = prop_oneof![8 => small, 4 => large, 1 => prop::sample::select(vec![Cut, RepeatToken])];
    (what, any::<Index>(), any::<Index>(), 1..30_usize, any::<u8>(), token, any::<Index>())
        .prop_map(|(what, at, to, count, byte, token, other)| Edit { what, at, to, count, byte, token, other })
}

fn apply(edit: &Edit, bytes: &mut Vec<u8>, other: &[u8]) {
    let Edit { what, at, to, count, byte, token, other: _ } = edit;
    let place = at.index(bytes.len() + 1);
    match what {
        What::FlipBit => bytes.iter_mut().skip(place).take(1).for_each(|found| *found ^= 1 << (byte % 8)),
        What::SetByte => bytes.iter_mut().skip(place).take(1).for_each(|found| *found = *byte),
        What::DeleteBytes => drop(bytes.drain(place..(place + count).min(bytes.len()))),
        What::DeleteLines => drop(bytes.drain(lines(bytes, at, *count))),
        What::Cut => bytes.truncate(place),
        What::InsertToken => drop(bytes.splice(place..place, token.iter().copied())),
        // Up to some thousand levels of whatever the token opens.
        What::RepeatToken => drop(bytes.splice(place..place, token.repeat(count * count * 5))),
        What::ReplaceWord => drop(bytes.splice(word(bytes, at), token.iter().copied())),
        What::SwapWords => {
            let (first, second) = (word(bytes, at), word(bytes, to));
            let (first, second) = if first.start <= second.start { (first, second) } else { (second, first) };
            if first.end <= second.start {
                let (one, two) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
                bytes.splice(second, one);
                bytes.splice(first, two);
            }
        }
        What::DoubleLines => {
            let lines = lines(bytes, at, *count);
            let copy = bytes[lines.clone()].repeat(1 + usize::from(byte % 3));
            bytes.splice(lines.end..lines.end, copy);
        }
        What::MoveLines => {
            let moved: Vec<u8> = bytes.drain(lines(bytes, at, *count)).collect();
            let place = lines(bytes, to, 1).start;
            bytes.splice(place..place, moved);
        }
        What::InsertLinesOfOther => {
            let place = lines(bytes, at, 1).start;
            let inserted = other[lines(other, to, *count)].to_vec();
            bytes.splice(place..place, inserted);
        }
        What::Splice => {
            bytes.truncate(lines(bytes, at, 1).start);
            bytes.extend_from_slice(&other[lines(other, to, 1).start..]);
        }
    }
}

/// Some lines from a random one on, with their ends.
fn lines(bytes: &[u8], at: &Index, count: usize) -> Range<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end + 1);
    let starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
    let first = at.index(starts.len());
    starts[first]..starts.get(first + count).copied().unwrap_or(bytes.len())
}

/// A run of letters, digits and what stands within names, or of anything else.
fn word(bytes: &[u8], at: &Index) -> Range<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let place = at.index(bytes.len() + 1);
    let Some(found) = bytes.get(place) else { return place..place };
    let is_alike = |byte: &&u8| is_word(byte) == is_word(found);
    let before = bytes[..place].iter().rev().take_while(is_alike).count();
    let after = bytes[place..].iter().take_while(is_alike).count();
    place - before..place + after
}
