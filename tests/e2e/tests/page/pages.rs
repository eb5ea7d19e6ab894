//! Which pages there are: all routes that a browser opens, so that none is forgotten.

use busyhour_api::route_list;

/// What a browser asks for and nobody reads.
const NO_PAGES: [&str; 7] = [
    "/assets/icon.svg",
    "/assets/page.css",
    "/assets/page.js",
    "/healthz",
    "/metrics",
    "/sign-in/provider",
    "/sign-in/provider/callback",
];
/// Gone once there is an administrator; walked before that.
pub(crate) const SET_UP: &str = "/set-up";

/// What stands for `{id}`.
pub(crate) struct Known {
    pub(crate) building: String,
    pub(crate) subnet: String,
    pub(crate) incident: String,
    pub(crate) path: String,
}

/// A page's name and its address.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// All of them, and a few addresses more that look otherwise.
pub(crate) fn pages(known: &Known) -> Vec<Page> {
    let mut pages: Vec<Page> = route_list()
        .into_iter()
        .filter(|(method, route)| method == "GET" && is_page(route) && route != SET_UP)
        .map(|(_, route)| Page { name: name(&route), address: filled(&route, known) })
        .collect();
    let building = format!("/buildings/{}", known.building);
    let more = [
        ("none-found", "/?q=no-such-building".to_owned()),
        ("problem", "/incidents/987654321".to_owned()),
        ("building-whole", format!("{building}?whole=yes")),
        ("reports-building", format!("/reports?building={}", known.building)),
    ];
    pages.extend(more.map(|(name, address)| Page { name: name.to_owned(), address }));
    pages
}

fn is_page(route: &str) -> bool {
    let is_file = [".svg", ".png", ".csv", "/files/{name}"].iter().any(|end| route.ends_with(end));
    !route.starts_with("/api/") && !is_file && !NO_PAGES.contains(&route)
}

fn filled(route: &str, known: &Known) -> String {
    let subject = match route.split('/').nth(1) {
        Some("buildings") => &known.building,
        Some("subnets") => &known.subnet,
        Some("incidents") => &known.incident,
        Some("paths") => &known.path,
        _ => "{id}",
    };
    let address = route.replace("{id}", subject);
    assert!(!address.contains('{'), "{route} is a new page: say what stands in its address");
    address
}

fn name(route: &str) -> String {
    let words: Vec<&str> =
        route.split('/').filter(|part| !part.is_empty() && !part.starts_with('{')).collect();
    let one = route.ends_with('}').then_some("one");
    let name: Vec<&str> = words.into_iter().chain(one).collect();
    if name.is_empty() { "overview".to_owned() } else { name.join("-") }
}
