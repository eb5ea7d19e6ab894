//! A report as a page of its own: it prints on A4, needs no script, and loads nothing.

use askama::Template;

use crate::document::{Cell, Document, Table};

/// Rows of a table that the page has; the CSV has all.
const MAX_ROWS: usize = 500;
/// Pictures of a page: each day of one is some 150 bytes.
const MAX_PICTURES: usize = 150;

/// What the page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dress {
    /// A file or a page of its own: both themes, with pictures.
    Page,
    /// The body of a mail: light, no variables, without pictures, which mail programs do not show.
    Mail,
}

const STYLE: &str = include_str!("../templates/report.css");
const MAIL_STYLE: &str = "body{font:14px sans-serif;color:#16202E;background:#FFFFFF}\
table{border-collapse:collapse;margin:8px 0 20px}caption{text-align:left;color:#566173}\
th,td{border-bottom:1px solid #E3E6EB;padding:4px 8px;text-align:left;vertical-align:top}\
.strong{font-weight:bold}";

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    style: &'a str,
    simulated: bool,
    lead: &'a [String],
    tables: Vec<Section<'a>>,
    notes: &'a [String],
    made: &'a str,
}

struct Section<'a> {
    name: &'a str,
    title: &'a str,
    caption: &'a str,
    titles: Vec<&'a str>,
    rows: Vec<Vec<Shown>>,
    more: usize,
    empty: &'a str,
}

/// One cell: words, or markup of our own that is drawn and escaped already.
struct Shown {
    words: String,
    picture: Option<String>,
    strong: bool,
}

/// The report as a page.
pub(crate) fn html(document: &Document, dress: Dress) -> Result<String, askama::Error> {
    let style = match dress {
        Dress::Page => busyhour_chart::stylesheet() + STYLE,
        Dress::Mail => MAIL_STYLE.to_owned(),
    };
    let mut pictures = match dress {
        Dress::Page => MAX_PICTURES,
        Dress::Mail => 0,
    };
    let section = |table| Section::new(table, dress, &mut pictures);
    let page = Page {
        title: &document.title(),
        style: &style,
        simulated: document.simulated,
        lead: &document.lead,
        tables: document.tables.iter().map(section).collect(),
        notes: &document.notes,
        made: &document.made_words(),
    };
    page.render()
}

impl<'a> Section<'a> {
    fn new(table: &'a Table, dress: Dress, pictures: &mut usize) -> Self {
        let mut columns = table.for_people();
        let is_picture = |at: usize| {
            table.rows.first().is_some_and(|row| matches!(row.get(at), Some(Cell::Picture(_))))
        };
        if dress == Dress::Mail {
            columns.retain(|&at| !is_picture(at));
        }
        let mut rows = Vec::new();
        for row in table.rows.iter().take(MAX_ROWS) {
            let cells = columns.iter().filter_map(|&at| row.get(at));
            rows.push(cells.map(|cell| Shown::new(cell, pictures)).collect());
        }
        Self {
            name: table.name,
            title: table.title,
            caption: &table.caption,
            titles: columns.iter().map(|&at| table.columns[at].title).collect(),
            more: table.rows.len().saturating_sub(MAX_ROWS),
            rows,
            empty: table.empty,
        }
    }
}

impl Shown {
    fn new(cell: &Cell, pictures: &mut usize) -> Self {
        let words: String =
            cell.words().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let strong =
            words.starts_with("worse") || matches!(words.as_str(), "missed" | "increasing");
        let picture = match cell {
            Cell::Picture(picture) if *pictures > 0 => {
                *pictures -= 1;
                Some(picture.to_string())
            }
            _ => None,
        };
        Self { words, picture, strong }
    }
}
