//! The colours and the face of a character, as terminals have them (`ESC[…m`). Pure.

use std::fmt::Write;

/// What later characters look like.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Style {
    /// A bit each: 1 bold, 2 faint, 3 italic, … as the sequence numbers them.
    face: u64,
    text: Colour,
    background: Colour,
    underline: Colour,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Colour {
    #[default]
    Own,
    /// 31 is red, 91 bright red, 41 a red background.
    Named(u16),
    Indexed(u16),
    Mixed([u16; 3]),
}

/// What is off after a code.
const OFF: [(u16, u64); 9] = [
    (22, 1 << 1 | 1 << 2),
    (23, 1 << 3),
    (24, 1 << 4 | 1 << 21),
    (25, 1 << 5 | 1 << 6),
    (27, 1 << 7),
    (28, 1 << 8),
    (29, 1 << 9),
    (54, 1 << 51 | 1 << 52),
    (55, 1 << 53),
];

impl Style {
    /// Takes the numbers of a sequence over.
    pub fn apply(&mut self, parameters: &str) {
        if parameters.is_empty() || parameters == "0" {
            *self = Style::default();
            return;
        }
        let mut codes = parameters.split(';');
        while let Some(code) = codes.next() {
            let mut parts = code.split(':');
            let number = number(parts.next());
            match number {
                0 => *self = Style::default(),
                4 if parts.next() == Some("0") => self.face &= !(1 << 4),
                1..=9 | 21 | 51..=53 => self.face |= 1 << number,
                30..=37 | 90..=97 => self.text = Colour::Named(number),
                40..=47 | 100..=107 => self.background = Colour::Named(number),
                39 => self.text = Colour::Own,
                49 => self.background = Colour::Own,
                59 => self.underline = Colour::Own,
                38 | 48 | 58 => {
                    let colour = if code.contains(':') {
                        // The first of four numbers names a room of colours, and is mostly left out.
                        let rest: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
                        let from = if rest.len() > 4 { rest.len() - 3 } else { 1 };
                        let kind = rest.first().copied();
                        Colour::of(kind, &mut rest.get(from..).unwrap_or_default().iter().copied())
                    } else {
                        let kind = codes.next();
                        Colour::of(kind, &mut codes)
                    };
                    match number {
                        38 => self.text = colour,
                        48 => self.background = colour,
                        _ => self.underline = colour,
                    }
                }
                _ => {
                    if let Some((_, bits)) = OFF.iter().find(|(code, _)| *code == number) {
                        self.face &= !bits;
                    }
                }
            }
        }
    }

    /// Writes the sequence that leads from this one to another, and is that one then.
    pub fn turn_to(&mut self, next: Style, text: &mut String) {
        let was = std::mem::replace(self, next);
        if was == next {
            return;
        }
        let mut codes = String::new();
        let goes_on = |was: Colour, next: Colour| was == Colour::Own || was == next;
        let adds = was.face & !next.face == 0
            && goes_on(was.text, next.text)
            && goes_on(was.background, next.background)
            && goes_on(was.underline, next.underline);
        let from = if adds { was } else { Style::default() };
        if !adds {
            codes.push_str(";0");
        }
        for bit in (0..64).filter(|bit| next.face & !from.face & 1 << bit != 0) {
            let _ = write!(codes, ";{bit}");
        }
        let colours = [
            (38, from.text, next.text),
            (48, from.background, next.background),
            (58, from.underline, next.underline),
        ];
        for (code, _, colour) in colours.into_iter().filter(|(_, from, next)| from != next) {
            let _ = match colour {
                Colour::Own => Ok(()),
                Colour::Named(number) => write!(codes, ";{number}"),
                Colour::Indexed(number) => write!(codes, ";{code};5;{number}"),
                Colour::Mixed([red, green, blue]) => write!(codes, ";{code};2;{red};{green};{blue}"),
            };
        }
        let _ = write!(text, "\x1b[{}m", codes.trim_start_matches(';'));
    }
}

impl Colour {
    fn of<'a>(kind: Option<&str>, numbers: &mut impl Iterator<Item = &'a str>) -> Colour {
        match kind {
            Some("5") => Colour::Indexed(number(numbers.next())),
            Some("2") => Colour::Mixed(std::array::from_fn(|_| number(numbers.next()))),
            _ => Colour::Own,
        }
    }
}

/// One that is left out is 0; one that is too large means nothing. Nearly all have one digit or two.
fn number(text: Option<&str>) -> u16 {
    let digits = text.unwrap_or_default().as_bytes();
    if digits.len() > 4 {
        return 9999;
    }
    digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0').min(9)))
}
