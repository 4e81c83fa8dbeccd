//! The line of a stream that is being written, as a terminal has it: `\r`, `\b`, and "erase in line" (`ESC[K`) are carried out.
//! Guarantees: a line in which nothing is written over stays as it came, byte for byte, but for what erases nothing;
//! what is written costs what it is long, however long the line is, and however it comes in pieces.
//! Leaves out: the movements of a cursor between lines. `tests/fixtures/streams.json` says what becomes of what.

use super::style::Style;

/// Longer ones are no sequences that anybody sends: they are text.
const LONGEST_SEQUENCE: usize = 64;

/// The last line of a stream.
#[derive(Default)]
pub(super) struct Line {
    /// As it came, until something in it is written over.
    raw: String,
    cells: Option<Box<Cells>>,
    /// The colours at its beginning.
    base: Style,
    /// The colours of what is written next.
    pen: Style,
    /// The beginning of a sequence whose end is still to come.
    partial: String,
    /// The cursor goes to the beginning before anything else is done; at a line's end it makes no difference.
    is_returning: bool,
}

/// The line, in pieces before and after the cursor.
#[derive(Default)]
struct Cells {
    /// Characters that were erased at the beginning. They are blanks where something follows.
    blank: usize,
    before: Vec<Run>,
    /// The nearest last.
    after: Vec<Run>,
    /// Sequences that go with the next character.
    lead: String,
    /// Bytes of all runs.
    length: usize,
}

/// Characters of one colour.
struct Run {
    style: Style,
    lead: String,
    text: String,
    /// What is before this was written over.
    from: usize,
}

impl Line {
    /// Nothing is in it.
    pub fn is_fresh(&self) -> bool {
        self.raw.is_empty() && self.cells.is_none() && self.partial.is_empty() && !self.is_returning
    }

    /// The bytes that it takes here.
    pub fn held(&self) -> usize {
        self.raw.len() + self.partial.len() + self.cells.as_ref().map_or(0, |cells| cells.length)
    }

    /// Bytes of its text.
    pub fn len(&self) -> usize {
        match &self.cells {
            Some(cells) => cells.text(self.base, self.pen).len() + self.partial.len(),
            None => self.raw.len() + self.partial.len(),
        }
    }

    /// Whether what comes next is put at its end.
    pub fn is_at_end(&self) -> bool {
        !self.is_returning
            && self.cells.as_ref().is_none_or(|cells| cells.after.is_empty() && !cells.before.is_empty())
    }

    /// Types into it as a terminal does. No line feed is in the text.
    pub fn edit(&mut self, text: &str) {
        let joined;
        let mut rest = text;
        if !self.partial.is_empty() {
            joined = std::mem::take(&mut self.partial) + text;
            rest = &joined;
        }
        while let Some(at) = memchr::memchr3(b'\r', 8, 0x1b, rest.as_bytes()) {
            self.write(&rest[..at]);
            rest = &rest[at..];
            let length = match rest.as_bytes()[0] {
                b'\r' => {
                    self.is_returning = true;
                    1
                }
                8 => {
                    self.cells().backspace();
                    1
                }
                _ => match sequence(rest) {
                    Sequence::Whole(length) => {
                        self.carry_out(&rest[..length]);
                        length
                    }
                    Sequence::Unfinished => {
                        self.partial = rest.to_owned();
                        return;
                    }
                    Sequence::None => {
                        self.pass(&rest[..1]);
                        1
                    }
                },
            };
            rest = &rest[length..];
        }
        self.write(rest);
    }

    /// Takes a whole line in which nothing is written over, so that it need not be held: of it only the colours count, in which the
    /// next one goes on. False: it is to be edited. For a line that is fresh.
    pub fn pass_over(&mut self, line: &str) -> bool {
        let (mut pen, mut rest) = (self.pen, line);
        while let Some(at) = memchr::memchr3(b'\r', 8, 0x1b, rest.as_bytes()) {
            rest = &rest[at..];
            let length = match sequence(rest) {
                _ if !rest.starts_with('\x1b') => return false,
                Sequence::Whole(length) => {
                    match (rest.as_bytes()[length - 1], &rest[2..length - 1]) {
                        (b'm', parameters) if is_of_style(parameters) => pen.apply(parameters),
                        (b'K' | b'G', _) => return false,
                        _ => {}
                    }
                    length
                }
                Sequence::Unfinished => return false,
                Sequence::None => 1,
            };
            rest = &rest[length..];
        }
        (self.pen, self.base) = (pen, pen);
        true
    }

    /// Its text; the next line goes on in its colours.
    pub fn end(&mut self) -> String {
        self.is_returning = false;
        let mut text = match self.cells.take() {
            Some(cells) => cells.text(self.base, self.pen),
            None => std::mem::take(&mut self.raw),
        };
        text.push_str(&std::mem::take(&mut self.partial));
        self.base = self.pen;
        text
    }

    /// What leaves a line as this one is, cursor and colours with it, where it is typed in the colours of its beginning.
    pub fn into_typed(mut self) -> String {
        let mut text = match self.cells.take() {
            Some(cells) => cells.typed(self.base, self.pen),
            None => std::mem::take(&mut self.raw),
        };
        if self.is_returning {
            text.push('\r');
        }
        text + &self.partial
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.cells.is_none() && !self.is_returning {
            return self.raw.push_str(text);
        }
        let pen = self.pen;
        self.cells().write(text, pen);
    }

    fn carry_out(&mut self, sequence: &str) {
        let parameters = &sequence[2..sequence.len() - 1];
        match (sequence.as_bytes()[sequence.len() - 1], parameters) {
            (b'm', _) if is_of_style(parameters) => {
                self.pen.apply(parameters);
                if self.cells.is_none() {
                    self.raw.push_str(sequence);
                }
            }
            (b'K', "" | "0") if self.cells.is_none() && !self.is_returning => {}
            (b'K', "" | "0") => self.cells().erase_after(),
            (b'K', "1") => self.cells().erase_before(),
            (b'K', "2") => {
                self.cells().erase_after();
                self.cells().erase_before();
            }
            (b'G', "" | "1") => self.is_returning = true,
            _ => self.pass(sequence),
        }
    }

    /// What has no width, and no meaning here.
    fn pass(&mut self, text: &str) {
        match &mut self.cells {
            Some(cells) => cells.lead.push_str(text),
            None => self.raw.push_str(text),
        }
    }

    /// The line in cells, with the cursor where it belongs.
    fn cells(&mut self) -> &mut Cells {
        if self.cells.is_none() {
            let raw = std::mem::take(&mut self.raw);
            let is_returning = std::mem::take(&mut self.is_returning);
            self.cells = Some(Box::default());
            let pen = std::mem::replace(&mut self.pen, self.base);
            self.edit(&raw);
            self.pen = pen;
            self.is_returning = is_returning;
        }
        let cells = self.cells.get_or_insert_default();
        if std::mem::take(&mut self.is_returning) {
            cells.go_to_start();
        }
        cells
    }
}

impl Cells {
    /// Writes over what is after the cursor.
    fn write(&mut self, text: &str, pen: Style) {
        if !self.after.is_empty() {
            let last = self.before.last().and_then(|run| run.text.chars().next_back());
            self.drop_after(measure(text, last, usize::MAX).0);
        }
        self.length += text.len();
        match self.before.last_mut() {
            Some(run) if run.style == pen && self.lead.is_empty() => run.text.push_str(text),
            _ => {
                let lead = std::mem::take(&mut self.lead);
                self.before.push(Run { style: pen, lead, text: text.to_owned(), from: 0 });
            }
        }
    }

    fn go_to_start(&mut self) {
        while let Some(run) = self.before.pop() {
            self.after.push(run);
        }
        let blank = std::mem::take(&mut self.blank);
        if blank > 0 && !self.after.is_empty() {
            self.put_after(Run::plain(" ".repeat(blank)));
        }
    }

    /// At the end it takes a character away, as Jupyter's front ends do; after a `\r` the next one is written over it.
    fn backspace(&mut self) {
        let is_end = self.after.is_empty();
        let Some(run) = self.before.last_mut() else {
            if self.blank > 0 {
                self.blank -= 1;
                if !is_end {
                    self.put_after(Run::plain(" ".to_owned()));
                }
            }
            return;
        };
        let cell = run.text.split_off(last_cell(&run.text));
        self.length -= cell.len();
        let style = run.style;
        if run.text.is_empty() {
            self.before.pop();
        }
        if !is_end {
            self.put_after(Run { style, lead: String::new(), text: cell, from: 0 });
        }
    }

    fn erase_after(&mut self) {
        self.length -= self.after.drain(..).map(|run| run.text.len() - run.from).sum::<usize>();
    }

    /// The character under the cursor is erased as well.
    fn erase_before(&mut self) {
        for run in self.before.drain(..) {
            self.length -= run.text.len();
            self.blank += measure(&run.text, None, usize::MAX).0;
        }
        if !self.after.is_empty() {
            self.drop_after(1);
            self.put_after(Run::plain(" ".to_owned()));
        }
    }

    fn put_after(&mut self, run: Run) {
        self.length += run.text.len();
        self.after.push(run);
    }

    fn drop_after(&mut self, mut count: usize) {
        while count > 0
            && let Some(run) = self.after.last_mut()
        {
            let (cells, bytes) = measure(&run.text[run.from..], None, count);
            count -= cells;
            run.from += bytes;
            run.lead.clear();
            self.length -= bytes;
            if run.from == run.text.len() {
                self.after.pop();
            }
        }
    }

    /// The same with the cursor where it is.
    fn typed(&self, base: Style, pen: Style) -> String {
        let blanks = " ".repeat(self.blank);
        if self.before.is_empty() && self.after.is_empty() {
            let erased = if self.blank > 0 { blanks + "\x1b[1K" } else { blanks };
            return erased + &self.text(base, pen);
        }
        let mut text = self.text(base, pen);
        if !self.after.is_empty() {
            text.push('\r');
            let mut style = pen;
            style.turn_to(Style::default(), &mut text);
            text.push_str(&blanks);
            for run in &self.before {
                style.turn_to(run.style, &mut text);
                text.push_str(&run.lead);
                text.push_str(&run.text);
            }
            style.turn_to(pen, &mut text);
        }
        text
    }

    fn text(&self, base: Style, pen: Style) -> String {
        let mut text = String::with_capacity(self.length + self.blank);
        let mut style = base;
        if self.blank > 0 && !(self.before.is_empty() && self.after.is_empty()) {
            style.turn_to(Style::default(), &mut text);
            text.extend(std::iter::repeat_n(' ', self.blank));
        }
        for run in self.before.iter().chain(self.after.iter().rev()) {
            style.turn_to(run.style, &mut text);
            text.push_str(&run.lead);
            text.push_str(&run.text[run.from..]);
        }
        style.turn_to(pen, &mut text);
        text + &self.lead
    }
}

impl Run {
    fn plain(text: String) -> Run {
        Run { style: Style::default(), lead: String::new(), text, from: 0 }
    }
}

enum Sequence {
    /// So many bytes.
    Whole(usize),
    Unfinished,
    None,
}

/// The control sequence (`ESC [ … letter`) that the text begins with.
fn sequence(text: &str) -> Sequence {
    let bytes = text.as_bytes();
    match bytes.get(1) {
        None => return Sequence::Unfinished,
        Some(b'[') => {}
        Some(_) => return Sequence::None,
    }
    for (at, byte) in bytes.iter().enumerate().take(LONGEST_SEQUENCE).skip(2) {
        match byte {
            b' '..=b'?' => {}
            b'@'..=b'~' => return Sequence::Whole(at + 1),
            _ => return Sequence::None,
        }
    }
    if bytes.len() < LONGEST_SEQUENCE { Sequence::Unfinished } else { Sequence::None }
}

/// Whether a sequence with these parameters and the letter `m` is of colours: others of that letter set up the keyboard.
fn is_of_style(parameters: &str) -> bool {
    parameters.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':')
}

/// How many characters, as people see them, are in the text after `last`, `most` at most; and their bytes.
fn measure(text: &str, last: Option<char>, most: usize) -> (usize, usize) {
    let mut last = last;
    let mut cells = 0;
    for (at, c) in text.char_indices() {
        if last.is_some_and(|last| joins(last, c)) {
            // Two letters make a flag; a third begins the next one.
            last = Some(if is_regional(c) { ' ' } else { c });
            continue;
        }
        if cells == most {
            return (cells, at);
        }
        cells += 1;
        last = Some(c);
    }
    (cells, text.len())
}

/// Where the last character, as people see it, begins.
fn last_cell(text: &str) -> usize {
    let mut cell = text.char_indices().rev().peekable();
    while let Some((at, c)) = cell.next() {
        let Some((_, before)) = cell.peek() else { return at };
        if !joins(*before, c) {
            return at;
        }
        if is_regional(c) {
            return cell.next().map_or(at, |(at, _)| at);
        }
    }
    0
}

/// Whether both are parts of what people see as one character: accents, colours of skin, families, flags.
fn joins(before: char, c: char) -> bool {
    const JOINER: char = '\u{200d}';
    if c < '\u{300}' {
        return false;
    }
    before == JOINER
        || matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
        || unicode_width::UnicodeWidthChar::width(c) == Some(0)
        || (is_regional(before) && is_regional(c))
}

fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}
