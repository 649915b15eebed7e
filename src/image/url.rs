//! References among URLs (RFC 3986, section 5.2), and who answers at one.

/// The parts of a reference; a path always exists.
#[derive(Default)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let text = text.split('#').next().unwrap_or_default();
        let (rest, query) = text.split_once('?').map_or((text, None), |(rest, query)| (rest, Some(query)));
        let is_scheme = |scheme: &&str| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        };
        let scheme = rest.split_once(':').map(|(scheme, _)| scheme).filter(is_scheme);
        let rest = scheme.map_or(rest, |scheme| &rest[scheme.len() + 1..]);
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        Self { scheme, authority, path, query }
    }
}

/// What `reference` means in an answer from `base`, an absolute URL. Without a fragment.
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let (base, reference) = (Parts::of(base), Parts::of(reference.trim()));
    let is_beside = reference.scheme.is_none() && reference.authority.is_none();
    let authority = if is_beside { base.authority } else { reference.authority };
    let (path, query) = if !is_beside || reference.path.starts_with('/') {
        (without_dots(reference.path), reference.query)
    } else if reference.path.is_empty() {
        (base.path.to_owned(), reference.query.or(base.query))
    } else {
        let folder = base.path.rfind('/').map_or("/", |at| &base.path[..=at]);
        (without_dots(&format!("{folder}{}", reference.path)), reference.query)
    };
    let scheme = reference.scheme.or(base.scheme).unwrap_or("https");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{}{path}{query}", authority.unwrap_or_default())
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(usize::from(path.starts_with('/'))).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            ".." => drop(kept.pop()),
            "." => {}
            part => kept.push(part),
        }
        if is_last && matches!(part, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Adds a parameter to a URL's query.
pub(super) fn with_parameter(url: &str, parameter: &str) -> String {
    let mark = match url.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{mark}{parameter}")
}

/// Who answers at a URL: its scheme, host and port. `None` if that can't be told for certain.
pub(super) fn origin(url: &str) -> Option<(String, String, u16)> {
    let parts = Parts::of(url);
    let scheme = parts.scheme?.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = parts.authority.filter(|authority| !authority.is_empty() && !authority.contains(['@', '\\', ' ', '%']))?;
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, "")) => (host, usual),
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, usual),
    };
    Some((scheme, host.trim_end_matches('.').to_ascii_lowercase(), port))
}

/// Whether the same server answers at both.
pub(super) fn is_same_origin(one: &str, other: &str) -> bool {
    origin(one).is_some_and(|one| origin(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3986, section 5.4, without those for other schemes.
    #[test]
    fn references_mean_what_the_rfc_says() {
        for (reference, wanted) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://h:1/x?a=b:c", "https://h:1/x?a=b:c"),
        ] {
            assert_eq!(resolve("http://a/b/c/d;p?q", reference), wanted, "{reference:?}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        assert!(is_same_origin("https://R.example/x", "https://r.example:443/y?z"));
        for other in ["http://r.example/", "https://r.example:444/", "https://r.example.evil/", "https://r.example@evil/", "//r.example/"] {
            assert!(!is_same_origin("https://r.example/", other), "{other}");
        }
        assert!(is_same_origin("http://[::1]:5000/", "http://[::1]:5000/a"));
    }
}
