//! Names that Kubernetes accepts, and texts of the cluster on one line.

/// The longest name of a pod that this crate makes: the length of a DNS label, so that the name fits wherever one is needed.
const LONGEST_NAME: usize = 63;
/// The number of random characters at the end of a name.
const RANDOM: usize = 10;

/// The text on one line, and no longer than a screen.
pub(crate) fn line(text: &str) -> String {
    const LONGEST: usize = 600;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match line.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// The error and its causes on one line. A cause that the text before it contains is left out.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    line(&text)
}

/// The image without its tag and digest, as the plugin's program: `ghcr.io/me/kv-plugin` of `ghcr.io/me/kv-plugin:1.2@sha256:…`.
pub(crate) fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(before, _)| before);
    match image.rsplit_once(':') {
        // A colon before the last slash is that of a port.
        Some((before, tag)) if !tag.contains('/') => before,
        _ => image,
    }
}

/// The last part of the image's name.
pub(crate) fn plugin_name(image: &str) -> &str {
    let repository = repository(image);
    repository.rsplit_once('/').map_or(repository, |(_, last)| last)
}

/// A name that is valid as a DNS label and as the value of a label: lower case letters, digits and hyphens.
pub(crate) fn label(text: &str, longest: usize) -> String {
    let mut label: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .skip_while(|c| *c == '-')
        .take(longest)
        .collect();
    label.truncate(label.trim_end_matches('-').len());
    if label.is_empty() { "plugin".to_owned() } else { label }
}

/// A name for a pod that no other pod has.
pub(crate) fn pod_name(prefix: &str) -> String {
    let prefix = label(prefix, LONGEST_NAME - RANDOM - 1);
    let random = (0..RANDOM).map(|_| fastrand::alphanumeric().to_ascii_lowercase());
    format!("{prefix}-{}", random.collect::<String>())
}

/// Whether the text is the digest of an image: `sha256:` and 64 hexadecimal digits in lower case.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_image_is_that_of_the_plugin() {
        for (image, repository, name) in [
            ("kv-plugin", "kv-plugin", "kv-plugin"),
            ("ghcr.io/me/kv-plugin:1.2", "ghcr.io/me/kv-plugin", "kv-plugin"),
            ("localhost:5000/kv", "localhost:5000/kv", "kv"),
            ("localhost:5000/kv:1@sha256:00", "localhost:5000/kv", "kv"),
        ] {
            assert_eq!(super::repository(image), repository);
            assert_eq!(plugin_name(image), name);
        }
    }

    #[test]
    fn names_of_pods_are_dns_labels() {
        let name = pod_name("KV_plugin!");
        let (prefix, random) = name.rsplit_once('-').unwrap();
        assert_eq!((prefix, random.len()), ("kv-plugin", RANDOM));
        assert!(random.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{name}");
        assert!(pod_name(&"a".repeat(100)).len() <= LONGEST_NAME);
        assert!(pod_name("__").starts_with("plugin-"));
        assert_ne!(pod_name("kv"), pod_name("kv"));
    }

    #[test]
    fn digests_are_complete() {
        assert!(is_digest(&format!("sha256:{}", "0a".repeat(32))));
        for wrong in ["sha256:0a", "0a", &format!("sha256:{}", "0A".repeat(32))] {
            assert!(!is_digest(wrong), "{wrong}");
        }
    }

    #[test]
    fn texts_stay_on_one_line() {
        assert_eq!(line("a\n b\u{7}"), "a b\u{fffd}");
        assert!(line(&"é".repeat(700)).ends_with('…'));
    }
}
