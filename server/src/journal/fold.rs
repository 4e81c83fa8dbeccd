//! Folding events into a cell's outputs, as nbformat and Jupyter's front ends have them: streams joined, `\r`, `\b` and
//! `ESC[K` carried out, `clear_output`. Pure. A stream that will be cut is never whole in memory.

mod line;
mod style;

use self::line::Line;
use crate::protocol::StreamName;
use crate::protocol::limits::left_out;

/// Outputs of one execution, as they come about.
pub(super) struct Fold {
    pub outputs: Vec<Folded>,
    most: u64,
    /// `clear_output(wait=True)` came: the next output empties the cell.
    clear_next: bool,
}

/// An output, with the number of the event that made it.
pub(super) enum Folded {
    Stream {
        name: StreamName,
        text: Text,
    },
    /// What is no stream is read once it is known to stand: much may be cleared, or left out.
    Other {
        seq: u64,
    },
}

impl Fold {
    /// Streams keep `most` bytes each.
    pub fn new(most: u64) -> Fold {
        Fold { outputs: Vec::new(), most, clear_next: false }
    }

    pub fn clear(&mut self, wait: bool) {
        self.clear_next = wait;
        if !wait {
            self.outputs.clear();
        }
    }

    pub fn stream(&mut self, name: StreamName, piece: &str) {
        self.take_clear();
        if let Some(Folded::Stream { name: last, text }) = self.outputs.last_mut()
            && *last == name
        {
            return text.add(piece);
        }
        let mut text = Text::new(self.most);
        text.add(piece);
        self.outputs.push(Folded::Stream { name, text });
    }

    pub fn other(&mut self, seq: u64) {
        self.take_clear();
        self.outputs.push(Folded::Other { seq });
    }

    fn take_clear(&mut self) {
        if std::mem::take(&mut self.clear_next) {
            self.outputs.clear();
        }
    }
}

/// A stream's text: the head and the tail of it, once it is longer than both.
pub(super) struct Text {
    head: String,
    tail: String,
    /// How much of each is kept, in bytes.
    half: usize,
    /// Bytes left out between head and tail.
    pub left_out: u64,
    line: Line,
}

impl Text {
    pub fn new(most: u64) -> Text {
        let half = usize::try_from(most / 2).unwrap_or(usize::MAX / 4).min(usize::MAX / 4);
        Text { head: String::new(), tail: String::new(), half, left_out: 0, line: Line::default() }
    }

    /// Bytes of the folded text, cut or not.
    pub fn total(&self) -> u64 {
        self.ended() + self.line.len() as u64
    }

    /// Those of its lines that have ended, which nothing changes any more.
    pub fn ended(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.left_out
    }

    pub fn add(&mut self, piece: &str) {
        for part in piece.split_inclusive('\n') {
            let Some(whole) = part.strip_suffix('\n') else {
                self.line.edit(part);
                continue;
            };
            // Where the cursor goes before it leaves the line changes nothing.
            let whole = whole.trim_end_matches('\r');
            if self.line.is_fresh() && self.line.pass_over(whole) {
                self.push(whole);
            } else {
                self.line.edit(whole);
                let line = self.line.end();
                self.push(&line);
            }
            self.push("\n");
        }
        // A line without an end does not have to be held whole either.
        if self.line.held() > self.half.max(64 << 10) && self.line.is_at_end() {
            let line = self.line.end();
            self.push(&line);
        }
    }

    fn push(&mut self, text: &str) {
        let mut text = text;
        if self.left_out == 0 && self.tail.is_empty() && self.head.len() < self.half {
            let room = text.floor_char_boundary(self.half - self.head.len());
            self.head.push_str(&text[..room]);
            text = &text[room..];
        }
        self.tail.push_str(text);
        // Cut back now and then, not at each piece.
        if self.tail.len() > self.half.saturating_mul(2) + (64 << 10) {
            let keep = self.tail.ceil_char_boundary(self.tail.len() - self.half);
            self.left_out += keep as u64;
            self.tail.drain(..keep);
        }
    }

    /// The text, as what leaves the cursor where it is: what follows is written over the same.
    pub fn into_typed(mut self) -> String {
        let line = std::mem::take(&mut self.line).into_typed();
        self.push(&line);
        self.into_text(u64::MAX)
    }

    /// The text in at most `most` bytes, the words in its middle among them.
    pub fn into_text(mut self, most: u64) -> String {
        let mut end = self.tail;
        end.push_str(&self.line.end());
        let whole = (self.head.len() + end.len()) as u64;
        if self.left_out == 0 && whole <= most {
            return self.head + &end;
        }
        let words = left_out(self.left_out + whole).len() as u64;
        let half = usize::try_from(most.saturating_sub(words) / 2).unwrap_or(usize::MAX);
        let head_end = self.head.floor_char_boundary(half);
        // A short head came with a long tail only where most of it was never cut: then the tail begins the head.
        let from = end.ceil_char_boundary(end.len().saturating_sub(half));
        let out = self.left_out + (self.head.len() - head_end) as u64 + from as u64;
        format!("{}{}{}", &self.head[..head_end], left_out(out), &end[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(pieces: &[&str]) -> String {
        let mut fold = Fold::new(u64::MAX);
        pieces.iter().for_each(|piece| fold.stream(StreamName::Stdout, piece));
        let texts = fold.outputs.into_iter().map(|o| match o {
            Folded::Stream { text, .. } => text.into_text(u64::MAX),
            Folded::Other { .. } => unreachable!("only streams were added"),
        });
        texts.collect()
    }

    /// The editor's own fold reads the same table (`editor-client/test/stream.test.ts`).
    #[test]
    fn what_is_printed_stands_in_the_cell_as_the_table_says() {
        let table = std::fs::read("tests/fixtures/streams.json").unwrap();
        let cases: Vec<serde_json::Value> = serde_json::from_slice(&table).unwrap();
        assert!(cases.len() > 50, "the table is read");
        for case in cases {
            let pieces: Vec<&str> =
                case["printed"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
            let expect = case["stands"].as_str().unwrap();
            assert_eq!(stream(&pieces), expect, "{}", case["printed"]);
            let each: Vec<String> = pieces.concat().chars().map(String::from).collect();
            let each: Vec<&str> = each.iter().map(String::as_str).collect();
            assert_eq!(stream(&each), expect, "a character a piece: {}", case["printed"]);
        }
    }

    /// What stands is kept in the place of what was printed while more is printed.
    #[test]
    fn what_is_kept_goes_on_as_what_was_printed() {
        let table = std::fs::read("tests/fixtures/streams.json").unwrap();
        let cases: Vec<serde_json::Value> = serde_json::from_slice(&table).unwrap();
        for case in cases {
            let pieces = case["printed"].as_array().unwrap().iter().map(|p| p.as_str().unwrap());
            let whole = pieces.collect::<String>();
            for (at, _) in whole.char_indices() {
                let mut begun = Text::new(u64::MAX);
                begun.add(&whole[..at]);
                let kept = begun.into_typed();
                assert_eq!(
                    stream(&[&kept, &whole[at..]]),
                    case["stands"].as_str().unwrap(),
                    "{whole:?} {at} {kept:?}"
                );
            }
        }
    }

    /// Each of these took minutes when a character cost what the line is long.
    #[test]
    fn a_long_line_that_is_written_over_costs_what_is_written() {
        const LONG: usize = 300_000;
        let spent = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec;
        let begun = spent();
        let long = "a".repeat(2 * LONG);
        let over = stream(&[&long, "\r", &"é".repeat(LONG)]);
        assert_eq!(over, "é".repeat(LONG) + &long[LONG..]);
        let text_of = |pieces: &mut dyn Iterator<Item = &str>| {
            let mut text = Text::new(u64::MAX);
            pieces.for_each(|piece| text.add(piece));
            (text.total(), text.into_text(u64::MAX))
        };
        let first = std::iter::once(long.as_str());
        for (update, expect) in
            [("\r", "a"), ("\ré", "é"), ("é\u{8}", "a"), ("\u{8}", ""), ("\rab\u{8}\u{8}€", "€")]
        {
            let (total, folded) = text_of(&mut first.clone().chain(std::iter::repeat_n(update, LONG)));
            assert!(folded.starts_with(expect) && folded.len() as u64 == total, "{update:?}");
        }
        let wide = "é\r".repeat(LONG) + &"\r".repeat(LONG);
        assert_eq!(stream(&[&long, &wide]), format!("é{}é", &long[1..]));
        assert!(spent() - begun < 30, "{} s", spent() - begun);
    }

    #[test]
    fn clearing_and_interleaving() {
        let kinds = |fold: Fold| -> Vec<String> {
            let name = |o: Folded| match o {
                Folded::Stream { name, text } => format!("{name:?}:{}", text.into_text(u64::MAX)),
                Folded::Other { seq } => seq.to_string(),
            };
            fold.outputs.into_iter().map(name).collect()
        };
        let mut fold = Fold::new(u64::MAX);
        fold.stream(StreamName::Stdout, "a");
        fold.stream(StreamName::Stderr, "b");
        fold.stream(StreamName::Stdout, "c");
        fold.other(7);
        fold.stream(StreamName::Stdout, "d");
        fold.stream(StreamName::Stdout, "e");
        assert_eq!(kinds(fold), ["Stdout:a", "Stderr:b", "Stdout:c", "7", "Stdout:de"]);

        let mut fold = Fold::new(u64::MAX);
        fold.stream(StreamName::Stdout, "a");
        fold.clear(true);
        assert_eq!(fold.outputs.len(), 1, "with wait the old output stays until the next comes");
        fold.other(8);
        assert_eq!(kinds(fold), ["8"]);

        let mut fold = Fold::new(u64::MAX);
        fold.stream(StreamName::Stdout, "a");
        fold.clear(false);
        assert!(fold.outputs.is_empty());
    }

    #[test]
    fn a_long_stream_keeps_head_and_tail() {
        let mut text = Text::new(1_000);
        let whole: String = (0..100_000).map(|i| format!("line {i}\n")).collect();
        for piece in whole.as_bytes().chunks(60_000) {
            text.add(std::str::from_utf8(piece).unwrap());
        }
        assert_eq!(text.total(), whole.len() as u64);
        let cut = text.into_text(1_000);
        assert!(
            cut.starts_with("line 0\n") && cut.ends_with("line 99999\n") && cut.contains("bytes left out")
        );
        assert!((900..=1_000).contains(&cut.len()), "{}", cut.len());
        let short = {
            let mut text = Text::new(1_000);
            text.add(&"é".repeat(500));
            text
        };
        assert_eq!(short.into_text(1_000), "é".repeat(500), "what fits is not cut");
    }
}
