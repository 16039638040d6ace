//! Owns the signature of requests to S3-compatible stores: AWS Signature Version 4, in the header. Pure.

use auth::Hash;
use data_encoding::HEXLOWER;
use hyper::header::HeaderName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// Instead of the hash of a body that is not known yet.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// All that is not encoded in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who signs.
pub(super) struct Credentials {
    pub(super) access_key: String,
    pub(super) secret: String,
    pub(super) region: String,
}

/// What is signed.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// With nothing in it that must be encoded.
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'static str, String)],
    pub(super) headers: &'a [(HeaderName, String)],
    pub(super) payload: &'a str,
}

impl Request<'_> {
    /// The query, and the headers that it needs beside its own. The time is in seconds since 1970-01-01 UTC.
    pub(super) fn sign(
        &self,
        credentials: &Credentials,
        now: u64,
    ) -> (String, Vec<(&'static str, String)>) {
        let stamp: String = xmpp::datetime::format_seconds(now * 1_000_000)
            .chars()
            .filter(|it| !matches!(it, '-' | ':'))
            .collect();
        let day = stamp.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", credentials.region);
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut headers: Vec<(&str, &str)> = own.collect();
        headers.extend([
            ("host", self.host),
            ("x-amz-content-sha256", self.payload),
            ("x-amz-date", &stamp),
        ]);
        headers.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let query = self.query();
        let Self { method, path, payload, .. } = self;
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
        let canonical = HEXLOWER.encode(&Sha256::digest(canonical));
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{canonical}");
        let mut key = format!("AWS4{}", credentials.secret).into_bytes();
        for part in [day, &credentials.region, "s3", "aws4_request"] {
            key = hmac(&key, part);
        }
        let signature = HEXLOWER.encode(&hmac(&key, &text));
        let access = &credentials.access_key;
        let authorization = format!(
            "{ALGORITHM} Credential={access}/{scope},SignedHeaders={names},Signature={signature}"
        );
        let headers = vec![
            ("x-amz-content-sha256", (*payload).to_owned()),
            ("x-amz-date", stamp),
            ("authorization", authorization),
        ];
        (query, headers)
    }

    fn query(&self) -> String {
        let pair = |(name, value): &(&'static str, String)| {
            format!("{name}={}", utf8_percent_encode(value, QUERY))
        };
        let mut pairs: Vec<String> = self.query.iter().map(pair).collect();
        pairs.sort_unstable();
        pairs.join("&")
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    Hash::Sha256.hmac(key, &[text.as_bytes()])
}

#[cfg(test)]
mod tests {
    use hyper::header::RANGE;

    use super::*;

    /// 2013-05-24T00:00:00Z
    const MAY: u64 = 1_369_353_600;

    fn credentials() -> Credentials {
        Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            region: "us-east-1".to_owned(),
        }
    }

    fn signature(request: &Request<'_>) -> String {
        let (_, headers) = request.sign(&credentials(), MAY);
        headers.last().unwrap().1.rsplit_once('=').unwrap().1.to_owned()
    }

    // The examples of the documentation of Amazon S3, "Signature Calculations for the Authorization Header".
    #[test]
    fn signatures_are_those_of_the_documented_examples() {
        let empty = HEXLOWER.encode(&Sha256::digest(""));
        let get = Request {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: &[],
            headers: &[(RANGE, "bytes=0-9".to_owned())],
            payload: &empty,
        };
        assert_eq!(
            signature(&get),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let query = [("max-keys", "2".to_owned()), ("prefix", "J".to_owned())];
        let list = Request { path: "/", query: &query, headers: &[], ..get };
        assert_eq!(
            signature(&list),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn what_has_a_meaning_in_a_query_is_encoded() {
        let query = [("prefix", "a/b c".to_owned())];
        let request = Request {
            method: "GET",
            host: "h",
            path: "/",
            query: &query,
            headers: &[],
            payload: UNSIGNED,
        };
        assert_eq!(request.sign(&credentials(), MAY).0, "prefix=a%2Fb%20c");
    }
}
