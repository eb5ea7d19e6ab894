//! Lines of a file, plain or compressed, and their fields. A line is the unit of damage: a quote that is
//! never closed, or bytes that are no text, lose their line and nothing else.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use indicatif::ProgressBar;

/// Far above any row of figures; a row of the building file is below 4 kB.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// More columns than any table of these has.
const MAX_FIELDS: usize = 256;
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// The first bytes of a Zstandard frame (RFC 8878 section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The first bytes of a gzip member (RFC 1952 section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The highest window that is unpacked (2^27 bytes): the format's own recommendation.
const MAX_WINDOW_LOG: u32 = 27;

/// What is in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A row of fields.
    Row,
    /// Something that cannot be a row, and why.
    Broken(&'static str),
    /// Nothing is left.
    End,
}

/// Reads the rows of a file one after the other into [`Row`]s.
pub(super) struct Lines {
    source: Box<dyn BufRead>,
    bytes: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a file, whatever its name says of compression. The bar moves with the bytes of the file.
    ///
    /// # Errors
    /// When it cannot be read, or is compressed in another way.
    pub(super) fn open(path: &Path, bar: &ProgressBar) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut source = BufReader::with_capacity(READ_BUFFER_BYTES, bar.wrap_read(file));
        let start = source.fill_buf().with_context(|| format!("read {}", path.display()))?;
        anyhow::ensure!(
            !start.starts_with(&GZIP_MAGIC),
            "{} is compressed with gzip: unpack it, or compress it with zstd",
            path.display()
        );
        if !start.starts_with(&ZSTD_MAGIC) {
            return Ok(Self::of(source));
        }
        let mut unpacked = zstd::Decoder::with_buffer(source)
            .with_context(|| format!("unpack {}", path.display()))?;
        unpacked
            .window_log_max(MAX_WINDOW_LOG)
            .with_context(|| format!("unpack {}", path.display()))?;
        Ok(Self::of(BufReader::with_capacity(READ_BUFFER_BYTES, unpacked)))
    }

    /// Reads from memory or elsewhere.
    pub(super) fn of(source: impl BufRead + 'static) -> Self {
        Self { source: Box::new(source), bytes: Vec::new(), number: 0 }
    }

    /// What separates the fields, by the first line that is not blank and no comment.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn sniff(&mut self) -> std::io::Result<u8> {
        let start = String::from_utf8_lossy(self.source.fill_buf()?);
        let mut lines = start.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
        Ok(delimiter_of(
            lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or(""),
        ))
    }

    /// The number of the line that was read last, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line that is not blank and no comment (`#`).
    ///
    /// # Errors
    /// When the file cannot be read on, as when compressed data end too early.
    pub(super) fn next(&mut self, delimiter: u8, row: &mut Row) -> std::io::Result<Line> {
        loop {
            self.bytes.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let read = self.source.by_ref().take(limit).read_until(b'\n', &mut self.bytes)?;
            if read == 0 {
                return Ok(Line::End);
            }
            self.number += 1;
            if self.bytes.last() != Some(&b'\n') && read > MAX_LINE_BYTES {
                self.skip_line()?;
                return Ok(Line::Broken("the line is longer than 64 kB"));
            }
            let mut line = self.bytes.as_slice();
            if self.number == 1 {
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            }
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            // A tab may be an empty first or last column.
            let kept = if delimiter == b'\t' { trim_line_end(&self.bytes) } else { line };
            return Ok(row.read(kept, delimiter));
        }
    }

    fn skip_line(&mut self) -> std::io::Result<()> {
        loop {
            self.bytes.clear();
            let limit = MAX_LINE_BYTES as u64;
            let read = self.source.by_ref().take(limit).read_until(b'\n', &mut self.bytes)?;
            if read == 0 || self.bytes.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The fields of a line, without the space around them.
#[derive(Debug, Default)]
pub(super) struct Row {
    text: String,
    fields: Vec<(u32, u32)>,
}

impl Row {
    /// How many fields there are.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field, by its place from 0; `None` where the row is too short.
    pub(super) fn field(&self, place: usize) -> Option<&str> {
        let &(from, until) = self.fields.get(place)?;
        self.text.get(from as usize..until as usize)
    }

    /// All fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|place| self.field(place))
    }

    fn read(&mut self, line: &[u8], delimiter: u8) -> Line {
        self.text.clear();
        self.fields.clear();
        if line.contains(&0) {
            return Line::Broken("the line holds zero bytes; is the file UTF-8 text?");
        }
        let line = String::from_utf8_lossy(line);
        let fault = if line.contains('"') {
            self.read_quoted(&line, char::from(delimiter))
        } else {
            self.read_plain(&line, char::from(delimiter))
        };
        fault.map_or(Line::Row, Line::Broken)
    }

    fn read_plain(&mut self, line: &str, delimiter: char) -> Option<&'static str> {
        self.text.push_str(line);
        let mut from = 0;
        for field in line.split(delimiter) {
            let lead = field.len() - field.trim_start().len();
            let length = field.trim().len();
            if !self.add(from + lead, from + lead + length) {
                return Some("the line has more than 256 fields");
            }
            from += field.len() + delimiter.len_utf8();
        }
        None
    }

    /// RFC 4180 section 2, rules 5 to 7, within one line.
    fn read_quoted(&mut self, line: &str, delimiter: char) -> Option<&'static str> {
        let mut rest = line;
        loop {
            let from = self.text.len();
            rest = rest.trim_start_matches([' ', '\u{a0}']);
            if let Some(mut quoted) = rest.strip_prefix('"') {
                loop {
                    let Some((inside, after)) = quoted.split_once('"') else {
                        return Some("a quote is not closed");
                    };
                    self.text.push_str(inside);
                    let Some(again) = after.strip_prefix('"') else {
                        rest = after.trim_start_matches([' ', '\u{a0}']);
                        break;
                    };
                    self.text.push('"');
                    quoted = again;
                }
                if !(rest.is_empty() || rest.starts_with(delimiter)) {
                    return Some("something follows a closing quote");
                }
            } else {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                self.text.push_str(field.trim_end());
                rest = after;
            }
            if !self.add(from, self.text.len()) {
                return Some("the line has more than 256 fields");
            }
            match rest.strip_prefix(delimiter) {
                Some(after) => rest = after,
                None => return None,
            }
        }
    }

    fn add(&mut self, from: usize, until: usize) -> bool {
        // A line is far shorter than 4 GB.
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.fields.push((place(from), place(until)));
        self.fields.len() <= MAX_FIELDS
    }
}

/// What separates the fields of a line: whatever it has most of outside quotes.
fn delimiter_of(line: &str) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0u32), (b'\t', 0), (b';', 0)];
    for byte in line.bytes() {
        quoted ^= byte == b'"';
        if let Some(count) = counts.iter_mut().find(|count| count.0 == byte && !quoted) {
            count.1 += 1;
        }
    }
    // The first of equals: a line without any is as good as separated by commas.
    let most = counts.iter().map(|count| count.1).max().unwrap_or(0);
    counts.iter().find(|count| count.1 == most).map_or(b',', |count| count.0)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn rows(text: &[u8]) -> Vec<Result<Vec<String>, &'static str>> {
        let mut lines = Lines::of(Cursor::new(text.to_vec()));
        let (mut row, mut all) = (Row::default(), Vec::new());
        loop {
            match lines.next(b',', &mut row).unwrap() {
                Line::End => return all,
                Line::Broken(why) => all.push(Err(why)),
                Line::Row => all.push(Ok(row.fields().map(str::to_owned).collect())),
            }
        }
    }

    fn row(fields: &[&str]) -> Result<Vec<String>, &'static str> {
        Ok(fields.iter().map(|&field| field.to_owned()).collect())
    }

    #[test]
    fn fields_may_be_quoted_and_have_space_around_them() {
        let found = rows(
            b"\xef\xbb\xbfa, b ,\"c,d\"\r\n\n# note\n \"say \"\"x\"\"\" ,,\xc3\xa9\n,\n\"\"\n",
        );
        let expected =
            [row(&["a", "b", "c,d"]), row(&["say \"x\"", "", "é"]), row(&["", ""]), row(&[""])];
        assert_eq!(found, expected);
    }

    #[test]
    fn damage_loses_its_line_and_nothing_else() {
        let mut text = b"a,1\n\"b,2\nc,3\nd\0,4\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE_BYTES));
        text.extend(b"\ne,\"5\"6\nf,7");
        let found = rows(&text);
        let read: Vec<_> = found.iter().filter_map(|row| row.as_ref().ok()).collect();
        assert_eq!(read.len(), 3, "{found:?}");
        assert_eq!(found.len(), 7);
        assert_eq!(found[6], row(&["f", "7"]));
    }

    #[test]
    fn a_row_has_a_bounded_number_of_fields() {
        assert!(rows(&[b','; MAX_FIELDS]).iter().all(Result::is_err));
        assert!(rows(&[b','; MAX_FIELDS - 1]).iter().all(Result::is_ok));
    }

    #[test]
    fn columns_are_separated_by_what_there_is_most_of() {
        assert_eq!(delimiter_of("a,b;c,d"), b',');
        assert_eq!(delimiter_of("a\tb\tc,d"), b'\t');
        assert_eq!(delimiter_of("\"a,b,c\";d"), b';');
        assert_eq!(delimiter_of("alone"), b',');
    }

    #[test]
    fn a_compressed_file_is_read_like_a_plain_one_and_an_end_too_early_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let text: String =
            (0..50_000).map(|n| format!("series-{n},{}\n", n * 7_919 % 10_007)).collect();
        let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
        let count = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut lines = Lines::open(&path, &ProgressBar::hidden()).unwrap();
            let (mut row, mut rows) = (Row::default(), 0);
            loop {
                match lines.next(b',', &mut row) {
                    Ok(Line::End) => return Ok(rows),
                    Ok(_) => rows += 1,
                    Err(error) => return Err(error),
                }
            }
        };
        assert_eq!(count(text.as_bytes()).unwrap(), 50_000);
        assert_eq!(count(&packed).unwrap(), 50_000);
        for cut in [5, packed.len() / 2, packed.len() - 1] {
            assert!(count(&packed[..cut]).is_err(), "cut after {cut} bytes");
        }
        std::fs::write(&path, [0x1f, 0x8b, 8, 0]).unwrap();
        assert!(Lines::open(&path, &ProgressBar::hidden()).is_err());
    }
}
