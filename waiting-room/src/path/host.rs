//! Hosts of requests and the patterns of rooms that name them. No DNS: names are compared as text.

/// A host as it is compared: lower case, without port and trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host(String);

impl Host {
    /// From a `Host` header or an authority.
    pub(super) fn of(text: &str) -> Host {
        let name = match text.rfind(']') {
            // An IPv6 address in brackets; a port would come behind.
            Some(end) => &text[..=end],
            None => text.split(':').next().unwrap_or(text),
        };
        Host(name.trim_end_matches('.').to_ascii_lowercase())
    }
}

/// One entry of a room's `hosts`: `tickets.example`, or `*.example` for whatever stands below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostPattern {
    Exactly(String),
    /// What must follow, with its leading dot.
    Below(String),
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Result<HostPattern, &'static str> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let address = !below && name.starts_with('[') && name.ends_with(']');
        if !address && (name.is_empty() || !name.bytes().all(plain) || name.starts_with('.') || name.ends_with('.')) {
            return Err("a host is a name without port, or `*.` and a name");
        }
        let name = name.to_ascii_lowercase();
        Ok(if below { HostPattern::Below(format!(".{name}")) } else { HostPattern::Exactly(name) })
    }

    /// How closely the host is named, if it is.
    pub(super) fn closeness(&self, host: &Host) -> Option<(u8, usize)> {
        match self {
            HostPattern::Exactly(name) => (*name == host.0).then_some((2, name.len())),
            HostPattern::Below(end) => (host.0.len() > end.len() && host.0.ends_with(end)).then_some((1, end.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        let names =
            |pattern: &str, host: &str| HostPattern::parse(pattern).unwrap().closeness(&Host::of(host)).is_some();
        for host in ["tickets.example", "Tickets.Example:8080", "tickets.example."] {
            assert!(names("tickets.example", host), "{host}");
            assert!(names("*.example", host), "{host}");
            assert!(!names("*.tickets.example", host), "{host}");
        }
        assert!(names("*.example", "a.b.example"));
        assert!(!names("*.example", "example") && !names("*.example", "badexample") && !names("*.example", ".example"));
        assert!(names("[::1]", "[::1]:8080"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", "*", "*.", "a:80", "http://a", "a/b", ".a", "a.", "a.*", "*.*.a", "ü"] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
