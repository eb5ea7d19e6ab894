use serde_json::json;

use super::*;

#[derive(Serialize, JsonSchema)]
struct Item {
    z: &'static str,
    id: u32,
    a: f64,
    b: Option<u32>,
}

const fn item_of(id: u32) -> Item {
    Item { z: "=1, \"two\"", id, a: 0.5, b: None }
}

fn left(ids: &[u32]) -> Left {
    let rows: Vec<Item> = ids.iter().copied().map(item_of).collect();
    Left { rows: Arc::new(rows), cut: None, name: None }
}

fn view(query: &str) -> Result<View, Problem> {
    let request = axum::http::Request::get(format!("/x?{query}")).body(()).unwrap();
    let view = View::read(&request.into_parts().0)?;
    view.check_fields(known)?;
    Ok(view)
}

fn known() -> Vec<String> {
    ["a", "b", "id", "z"].map(str::to_owned).to_vec()
}

fn pages(mut lists: impl Iterator<Item = Vec<u32>>, limit: usize) -> Vec<Vec<u32>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let ids = lists.next().unwrap();
        let left = left(&ids);
        let (page, next) = cut(&view(&format!("limit={limit}{after}")).unwrap(), &left).unwrap();
        pages.push(ids[page].to_vec());
        let Some(next) = next else { return pages };
        after = format!("&after={next}");
    }
}

#[test]
fn pages_follow_each_other_also_when_the_list_changes_meanwhile() {
    let same = std::iter::repeat(vec![1, 2, 3, 4, 5]);
    assert_eq!(pages(same.clone(), 2), [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(pages(same, 5), [vec![1, 2, 3, 4, 5]], "a page that is just full is the last");
    let in_front = [vec![1, 2, 3, 4], vec![9, 8, 1, 2, 3, 4]].into_iter();
    assert_eq!(pages(in_front, 2), [vec![1, 2], vec![3, 4]], "nothing twice");
    let gone = [vec![1, 2, 3, 4], vec![1, 3, 4]].into_iter();
    assert_eq!(pages(gone, 2), [vec![1, 2], vec![3, 4]], "nothing left out");
    let all_gone = [vec![1, 2, 3], vec![]].into_iter();
    assert_eq!(pages(all_gone, 2), [vec![1, 2], vec![]]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let beyond = format!("after={}-0000000000000000", MAX_POSITION + 1);
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=99999999999999999999",
        "format=xml",
        "fields=",
        "fields=a,,b",
        "fields=a,nothing",
    ] {
        assert_eq!(view(query).unwrap_err().status().as_u16(), 400, "{query}");
    }
    for query in
        ["after=", "after=x", "after=1", "after=0-00", "after=-1-00", "after=1-+f", &beyond]
    {
        let problem = cut(&view(query).unwrap(), &left(&[1, 2])).unwrap_err();
        assert_eq!(problem.status().as_u16(), 400, "{query}");
    }
    let many = vec!["a"; MAX_FIELDS + 1].join(",");
    assert_eq!(view(&format!("fields={many}")).unwrap_err().status().as_u16(), 400);
    assert_eq!(view("limit=1000000").unwrap().limit(7), MAX_ITEMS);
    assert_eq!(view("limit=1000000&format=csv").unwrap().limit(7), MAX_ROWS);
    assert_eq!(view("").unwrap().limit(7), 7);
}

#[test]
fn a_list_is_written_in_three_forms_with_the_fields_that_are_wanted() {
    let left = left(&[7, 8]);
    let of = |query: &str| view(query).unwrap();
    assert_eq!(
        json(&of(""), &left, 0..1, Some("2-ab")).unwrap(),
        r#"{"schema_version":1,"next":"2-ab","items":[{"z":"=1, \"two\"","id":7,"a":0.5,"b":null}]}"#
    );
    assert_eq!(
        json(&of("fields=id,z"), &left, 1..2, None).unwrap(),
        r#"{"schema_version":1,"next":null,"fields":["id","z"],"items":[{"id":8,"z":"=1, \"two\""}]}"#
    );
    assert_eq!(lines(&of("fields=id"), &left, 0..2).unwrap(), "{\"id\":7}\n{\"id\":8}\n");
    assert_eq!(
        table(&of(""), &left, 0..1, known).unwrap(),
        "z,id,a,b\r\n\"'=1, \"\"two\"\"\",7,0.5,\r\n"
    );
    assert_eq!(table(&of("fields=b,id"), &left, 1..2, known).unwrap(), "b,id\r\n,8\r\n");
    assert_eq!(table(&of(""), &left, 0..0, known).unwrap(), "a,b,id,z\r\n");
}

#[test]
fn the_form_is_what_is_accepted_and_what_is_said_goes_before() {
    let of = |accept: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Format::accepted(&headers)
    };
    for (accept, format) in [
        ("*/*", Format::Json),
        ("text/html", Format::Json),
        ("", Format::Json),
        ("text/csv", Format::Csv),
        ("Text/CSV; q=0.9, application/json; q=0.5", Format::Csv),
        ("text/csv;q=0, */*", Format::Json),
        ("application/x-ndjson", Format::Ndjson),
        ("text/csv;q=x", Format::Csv),
    ] {
        assert_eq!(of(accept), format, "{accept}");
    }
    let request = axum::http::Request::get("/x?format=json").header("accept", "text/csv");
    let view = View::read(&request.body(()).unwrap().into_parts().0).unwrap();
    assert_eq!(view.format, Format::Json);
}

#[test]
fn the_next_page_has_an_address_with_all_that_was_asked() {
    let uri: Uri = "/api/v1/agents?limit=2&after=2-00&removed=true".parse().unwrap();
    let next = link(&uri, "4-ff").unwrap();
    assert_eq!(next, "</api/v1/agents?limit=2&removed=true&after=4-ff>; rel=\"next\"");
}

#[test]
fn an_item_is_known_by_its_identity_alone() {
    let id = |value: Value| identity(&value.to_string()).unwrap();
    assert_eq!(id(json!({"id": 1, "age": 2})), id(json!({"id": 1, "age": 3})));
    assert_ne!(id(json!({"id": 1})), id(json!({"id": 2})));
    assert_ne!(id(json!({"x": 1})), id(json!({"x": 2})), "without a name all of it counts");
    let up = json!({"started_utc": "a", "direction": "up", "lost": 1});
    let down = json!({"started_utc": "a", "direction": "down", "lost": 1});
    let later = json!({"started_utc": "a", "direction": "up", "lost": 2});
    assert_ne!(id(up.clone()), id(down), "what begins at the same time is told apart");
    assert_eq!(id(up), id(later));
    let row = |cause: Value| json!({"name": "WAN team", "cause": cause, "region": "EMEA"});
    assert_ne!(id(row(json!("wifi"))), id(row(json!(null))));
}

/// A digest of a whole item is another one as soon as an age in it is.
#[test]
fn every_list_has_something_steady_that_its_items_are_known_by() {
    let document = crate::openapi::openapi(&|_| None);
    let mut lists = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let content = &operations["get"]["responses"]["200"]["content"]["application/json"];
        let item = &content["schema"]["oneOf"][0]["properties"]["items"]["items"]["$ref"];
        let Some(item) = item.as_str() else { continue };
        let schema = document.pointer(item.trim_start_matches('#')).unwrap();
        let fields = schema["properties"].as_object().unwrap();
        let mut known_by = IDENTITIES.iter().chain(&STEADY);
        assert!(known_by.any(|name| fields.contains_key(*name)), "{path}: {:?}", fields.keys());
        lists += 1;
    }
    assert!(lists > 30, "{lists}");
}

#[test]
fn an_item_that_is_there_twice_is_found_where_it_was() {
    let same = std::iter::repeat(vec![1, 2, 2, 2, 3]);
    assert_eq!(pages(same, 1), [[1], [2], [2], [2], [3]]);
    let moved = [vec![2, 1, 5, 2, 3, 4], vec![2, 1, 6, 5, 2, 3, 4]].into_iter();
    assert_eq!(pages(moved, 4), [vec![2, 1, 5, 2], vec![3, 4]]);
}
