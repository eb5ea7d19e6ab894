//! The forms of a report: page, mail, text, CSV.

use busyhour_report::{Document, Period, ReportKind, render};

use crate::world::{Fleet, HOSTILE, NOW, incident};
use crate::{check_golden, report};

fn weekly() -> Document {
    let mut fleet = Fleet::small();
    fleet.incidents.push(incident(7));
    report(&fleet, ReportKind::Weekly, "2026-W34")
}

/// The page without its style sheet, which the charts share with the collector's own pages.
fn without_style(page: &str) -> String {
    let (before, rest) = page.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    format!("{before}<style></style>{after}")
}

#[test]
fn every_form_of_every_report_is_as_it_was() {
    let mut fleet = Fleet::small();
    fleet.incidents.push(incident(7));
    for (kind, period) in [
        (ReportKind::Daily, "2026-08-18"),
        (ReportKind::Weekly, "2026-W34"),
        (ReportKind::Monthly, "2026-08"),
    ] {
        let document = report(&fleet, kind, period);
        let name = kind.as_str();
        check_golden(&format!("{name}.txt"), &document.text());
        check_golden(&format!("{name}.html"), &without_style(&document.page().unwrap()));
        for table in &document.tables {
            let csv = document.csv(table.name).unwrap();
            check_golden(&format!("{name}-{}.csv", table.name), &csv);
        }
    }
}

#[test]
fn names_from_outside_are_neither_markup_nor_formulas() {
    let document = weekly();
    for page in [document.page().unwrap(), document.mail().unwrap().html] {
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;") || page.contains("&#60;script&#62;"), "{page}");
    }
    let csv = document.csv("buildings").unwrap();
    assert!(csv.contains(&format!("'{HOSTILE}")), "{csv}");
    assert!(!csv.lines().any(|line| line.starts_with('=')), "{csv}");
}

#[test]
fn a_page_stands_alone_and_a_mail_has_no_pictures() {
    let document = weekly();
    let page = document.page().unwrap();
    for foreign in ["http:", "https:", "src=", "@import", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(foreign);
        assert!(!found, "the page loads {foreign}");
    }
    assert!(page.contains("<svg") && page.contains("@page{size:A4"));
    assert!(page.contains("scope=\"col\"") && page.contains("scope=\"row\""));
    assert!(page.contains("<caption>") && page.contains("prefers-color-scheme:dark"));
    let mail = document.mail().unwrap().html;
    assert!(!mail.contains("<svg") && !mail.contains("var(--"), "{mail}");
    assert!(!mail.contains("Five weeks, day by day"), "a column without its pictures");
    assert!(mail.contains("Berlin HQ") && mail.contains("worse by 100 points"));
}

#[test]
fn a_mail_has_the_page_and_a_file_for_each_table() {
    let fleet = Fleet::small();
    let period = Period::parse(ReportKind::Monthly, "2026-08").unwrap();
    let report = render(&fleet, period, None, NOW).unwrap();
    assert_eq!(
        report.subject,
        "Busyhour: Steering committee pack, August 2026 (with simulated data)"
    );
    let names: Vec<&str> = report.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names.len(), 8);
    assert_eq!(names[0], "busyhour-monthly-2026-08.html");
    assert!(names[1..].iter().all(|name| name.ends_with(".csv")), "{names:?}");
    assert!(report.text.contains("SIMULATED DATA"));
    assert!(report.text.lines().all(|line| line.chars().count() <= 100), "{}", report.text);
}

#[test]
fn a_table_that_is_too_long_for_a_page_says_so_and_is_whole_as_csv() {
    let mut document = weekly();
    let row = document.tables[0].rows[0].clone();
    document.tables[0].rows = vec![row; 501];
    assert!(document.page().unwrap().contains("And 1 more rows, which are in buildings.csv."));
    assert!(document.text().contains("And 451 more rows, see buildings.csv."));
    assert_eq!(document.csv("buildings").unwrap().lines().count(), 502);
    assert_eq!(document.csv("nothing"), None);
}
