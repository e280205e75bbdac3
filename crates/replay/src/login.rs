//! Logging in as a person does: read the form, send it back.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, Token, Tokenizer};
use reqwest::header::LOCATION;
use url::Url;

use crate::ReplayError;
use crate::address::BaseUrl;
use crate::http::{Answer, Http, chain};
use crate::preset::LoginRule;
use crate::secret::Secret;

/// Logs in; the session is in the client's cookies afterwards. Never traced: it belongs to no recorded session.
pub(crate) async fn log_in(
    http: &Http,
    base: &BaseUrl,
    rule: &LoginRule,
    email: &str,
    password: &Secret,
) -> Result<(), ReplayError> {
    let url = page_url(base, rule)?;
    let failed = |why: String| ReplayError::LogIn { url: url.to_string(), why };
    let form = send(http.direct.get(url.clone()), "GET", &url).await?;
    if !form.is_success() {
        return Err(failed(format!("the log-in page answers {} ({})", form.status, form.excerpt())));
    }
    let mut fields: BTreeMap<&str, String> = rule
        .fields
        .iter()
        .map(|(name, value)| {
            // One pass each: a password that holds "{email}" stays what it is.
            let value = match value.as_str() {
                "{password}" => password.expose().to_owned(),
                other => other.replace("{email}", email),
            };
            (name.as_str(), value)
        })
        .collect();
    let tokens = hidden_inputs(&String::from_utf8_lossy(&form.body), &rule.form_tokens);
    for name in &rule.form_tokens {
        let value = tokens.get(name).ok_or_else(|| {
            failed(format!(
                "the log-in page has no hidden input {name}; is this the app that the preset is for?"
            ))
        })?;
        fields.insert(name, value.clone());
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    let request = http
        .direct
        .post(url.clone())
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body);
    let answer = send(request, "POST", &url).await?;
    let back_to_form = answer
        .headers
        .get(LOCATION)
        .and_then(|location| url.join(location.to_str().ok()?).ok())
        .is_some_and(|location| location.path() == url.path());
    if !rule.success_status.contains(&answer.status) || back_to_form {
        return Err(failed(format!(
            "the app did not take e-mail and password (it answers {}); check ADMIN_EMAIL and ADMIN_PASSWORD",
            answer.status
        )));
    }
    if !http.has_cookie(&url, &rule.cookie) {
        return Err(failed(format!("the app took e-mail and password, but sent no cookie {}", rule.cookie)));
    }
    Ok(())
}

/// The log-in page.
pub(crate) fn page_url(base: &BaseUrl, rule: &LoginRule) -> Result<Url, ReplayError> {
    base.under(&rule.page)
        .map_err(|error| ReplayError::BaseUrl { text: rule.page.clone(), why: error.to_string() })
}

async fn send(request: reqwest::RequestBuilder, method: &str, url: &Url) -> Result<Answer, ReplayError> {
    let unreachable = |error: reqwest::Error| ReplayError::Unreachable {
        method: method.to_owned(),
        url: url.to_string(),
        why: chain(&error.without_url()),
    };
    Answer::read(request.send().await.map_err(unreachable)?).await.map_err(unreachable)
}

/// The values of the inputs with these names, the first of each name.
fn hidden_inputs(html: &str, names: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut emitter = DefaultEmitter::default();
    // What a script or a text area holds are no tags.
    emitter.naively_switch_states(true);
    let mut templates = 0_u32;
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        let tag = match token {
            // What a template holds is no part of the page.
            Token::StartTag(tag) if **tag.name == *b"template" => {
                templates += 1;
                continue;
            }
            Token::EndTag(tag) if **tag.name == *b"template" => {
                templates = templates.saturating_sub(1);
                continue;
            }
            Token::StartTag(tag) if templates == 0 && **tag.name == *b"input" => tag,
            _ => continue,
        };
        let said =
            |name: &[u8]| tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        if let (Some(name), Some(value)) = (said(b"name"), said(b"value"))
            && names.contains(&name)
        {
            found.entry(name).or_insert(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_a_browser_reads_them() {
        let page = r#"<!-- <input name="csrf_token" value="in a comment"> -->
            <template><input name="csrf_token" value="in a template"></template>
            <form><input value='a&amp;b"c' type=hidden name=csrf_token><input name="email"></form>
            <script>document.write("<input name=csrf_token value=written>")</script>
            <form><INPUT Name="csrf_token" value="second"></form>
            <textarea><input name="next" value="typed"></textarea><input name=next value=/home>"#;
        let found = hidden_inputs(page, &["csrf_token", "next", "absent"].map(str::to_owned));
        let expected = [("csrf_token", "a&b\"c"), ("next", "/home")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }
}
