//! Separated values with the line that each row begins on.

use csv::{ReaderBuilder, StringRecord};

/// One row: its fields without the space around them.
pub(crate) struct TableRow {
    pub(crate) line: u32,
    pub(crate) fields: Vec<String>,
}

/// Reads all rows. Blank lines are not rows; quoted fields may hold anything.
pub(crate) fn rows(text: &str, delimiter: u8) -> Vec<TableRow> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let (mut record, mut lines) =
        (StringRecord::new(), Lines { text: text.as_bytes(), at: 0, line: 1 });
    loop {
        let begins = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        // The text is UTF-8 and rows may differ in length, so that nothing is left to refuse.
        let Ok(true) = reader.read_record(&mut record) else { return rows };
        let line = lines.of_row_at(begins);
        rows.push(TableRow { line, fields: record.iter().map(|f| f.trim().to_owned()).collect() });
    }
}

/// Counts lines up to where a row begins, the blank lines before it included.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
}

impl Lines<'_> {
    fn of_row_at(&mut self, begins: usize) -> u32 {
        while let Some(&byte) = self.text.get(self.at)
            && (self.at < begins || byte == b'\n' || byte == b'\r')
        {
            self.line += u32::from(byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// The text without a byte order mark.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What separates the columns: whatever the first line that is not blank has most of.
pub(crate) fn delimiter_of(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let mut quoted = false;
    let mut counts = [(b',', 0u32), (b'\t', 0), (b';', 0)];
    for byte in first.bytes() {
        quoted ^= byte == b'"';
        if let Some(count) = counts.iter_mut().find(|count| count.0 == byte && !quoted) {
            count.1 += 1;
        }
    }
    // The first of equals: a line without any is as good as separated by commas.
    let most = counts.iter().map(|count| count.1).max().unwrap_or(0);
    counts.iter().find(|count| count.1 == most).map_or(b',', |count| count.0)
}
