//! Which methods are shown.

/// Whether a method is one of `methods`, or the list is empty. Each is a method or a service, with or without the names before it:
/// `kv.v1.Store/Get`, `Store/Get`, `Get`, `Store`.
pub(super) fn is_among(method: &str, methods: &[String]) -> bool {
    let path = method.trim_start_matches('/');
    let service = path.rsplit_once('/').map_or(path, |(service, _)| service);
    let is_end = |text: &str, end: &str| {
        text.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with(['.', '/']))
    };
    methods.is_empty() || methods.iter().any(|asked| is_end(path, asked) || is_end(service, asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_services_are_named_with_or_without_what_is_before_them() {
        let among = |asked: &str| is_among("/kv.v1.Store/Get", &[asked.to_owned()]);
        for asked in ["kv.v1.Store/Get", "Store/Get", "Get", "Store", "kv.v1.Store", "v1.Store"] {
            assert!(among(asked), "{asked}");
        }
        for asked in ["et", "tore", "kv", "kv.v1", "Put", "Store/Put", "x.kv.v1.Store"] {
            assert!(!among(asked), "{asked}");
        }
        assert!(is_among("/kv.v1.Store/Get", &[]));
    }
}
