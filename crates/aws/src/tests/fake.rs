//! A strict little EC2 and STS on 127.0.0.1: signed requests, page ranges, opaque tokens, filters, and faults by script.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const SECRET: &str = "do-not-show-this-secret";

/// One call as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) region: String,
    pub(super) action: String,
    pub(super) parameters: BTreeMap<String, String>,
}

/// How a call goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Status, code and message.
    Error(u16, &'static str, &'static str),
    /// The body ends after this share (in thousandths), with a length that fits.
    Cut(usize),
    /// The connection ends before the announced length.
    Drop,
    /// No answer ever.
    Hang,
    /// The page's token is the one it was asked with.
    RepeatToken,
}

/// Fault for a region and action, from the call `first` on (0 is the next one), so many times.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) region: &'static str,
    pub(super) action: &'static str,
    pub(super) first: usize,
    pub(super) times: usize,
    pub(super) fault: Fault,
}

/// A listed item: its id, and its XML. For instances the XML is that of a whole reservation.
pub(super) type Item = (String, String);

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) items: BTreeMap<(String, String), Vec<Item>>,
    pub(super) scripts: Vec<Script>,
    pub(super) calls: Vec<Call>,
    /// Opt-in status by region.
    pub(super) regions: BTreeMap<String, String>,
    /// Items per page, if fewer than asked for.
    pub(super) page: usize,
    pub(super) reversed: bool,
}

#[derive(Debug)]
pub(super) struct Fake {
    pub(super) url: String,
    world: Arc<Mutex<World>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World { page: 1000, ..World::default() }));
        let served = Arc::clone(&world);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { url, world }
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap())
    }

    pub(super) fn put(&self, region: &str, action: &str, id: &str, xml: impl Into<String>) {
        let key = (region.to_owned(), action.to_owned());
        self.with(|world| world.items.entry(key).or_default().push((id.to_owned(), xml.into())));
    }

    pub(super) fn fail(&self, region: &'static str, action: &'static str, fault: Fault) {
        self.script(Script { region, action, first: 0, times: usize::MAX, fault });
    }

    pub(super) fn script(&self, script: Script) {
        self.with(|world| world.scripts.push(script));
    }

    pub(super) fn calls(&self, action: &str) -> Vec<Call> {
        self.with(|world| world.calls.iter().filter(|call| call.action == action).cloned().collect())
    }
}

async fn serve(mut stream: TcpStream, world: Arc<Mutex<World>>) {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk).await {
                Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
                _ => return,
            }
        };
        let text = String::from_utf8(buffer[..head].to_vec()).unwrap();
        let header = |name: &str| {
            text.lines().find_map(|line| {
                line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
            })
        };
        let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while buffer.len() < head + length {
            let mut chunk = [0; 65536];
            match stream.read(&mut chunk).await {
                Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
                _ => return,
            }
        }
        let form = String::from_utf8(buffer[head..head + length].to_vec()).unwrap();
        buffer.drain(..head + length);
        let answer = answer(&mut world.lock().unwrap(), header("authorization").as_deref(), &form);
        let Some((status, body, announced)) = answer else { std::future::pending().await };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Length: {announced}\r\n\r\n"
        );
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(body.as_bytes()).await.is_err() || announced != body.len() {
            return;
        }
    }
}

/// Status, body, announced length; `None` for no answer.
fn answer(world: &mut World, authorization: Option<&str>, form: &str) -> Option<(u16, String, usize)> {
    let parameters = parse(form);
    let action = parameters.get("Action").cloned().unwrap_or_default();
    let scope = authorization.and_then(|value| value.strip_prefix("AWS4-HMAC-SHA256 Credential=AKIDTEST/"));
    let Some(scope) = scope.filter(|value| value.contains("Signature=")) else {
        return whole(401, error("MissingAuthenticationToken", "the request is not signed"));
    };
    let region = scope.split('/').nth(1).unwrap_or_default().to_owned();
    world.calls.push(Call { region: region.clone(), action: action.clone(), parameters: parameters.clone() });
    let fault =
        world.scripts.iter_mut().find(|script| script.region == region && script.action == action && script.times > 0).and_then(|script| {
            if script.first > 0 {
                script.first -= 1;
                return None;
            }
            script.times = script.times.saturating_sub(1);
            Some(script.fault.clone())
        });
    if let Some(Fault::Error(status, code, message)) = fault {
        let document = if action == "GetCallerIdentity" { sts_error } else { error };
        return whole(status, document(code, message));
    }
    let result = match action.as_str() {
        "GetCallerIdentity" => Ok(format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws-test:iam::{ACCOUNT}:user/reader</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>\
             </GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
        )),
        "DescribeRegions" => {
            let rows: String = world.regions.iter().fold(String::new(), |mut rows, (region, status)| {
                write!(rows, "<item><regionName>{region}</regionName><optInStatus>{status}</optInStatus></item>").unwrap();
                rows
            });
            Ok(format!(
                "<DescribeRegionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><regionInfo>{rows}</regionInfo></DescribeRegionsResponse>"
            ))
        }
        "DescribeInstances" => list(world, &region, &action, &parameters, "reservationSet", "instance-id", fault.as_ref()),
        "DescribeNetworkInterfaces" => {
            list(world, &region, &action, &parameters, "networkInterfaceSet", "network-interface-id", fault.as_ref())
        }
        "DescribeSecurityGroups" => list(world, &region, &action, &parameters, "securityGroupInfo", "group-id", fault.as_ref()),
        _ => Err(error("InvalidAction", "unknown action")),
    };
    match (result, fault) {
        (Err(body), _) => whole(400, body),
        (Ok(_), Some(Fault::Hang)) => None,
        (Ok(body), Some(Fault::Cut(share))) => whole(200, body[..body.len() * share / 1000].to_owned()),
        (Ok(body), Some(Fault::Drop)) => {
            let announced = body.len();
            Some((200, body[..announced / 2].to_owned(), announced))
        }
        (Ok(body), _) => whole(200, body),
    }
}

fn list(
    world: &World,
    region: &str,
    action: &str,
    parameters: &BTreeMap<String, String>,
    set: &str,
    filter: &str,
    fault: Option<&Fault>,
) -> Result<String, String> {
    let size: usize = parameters.get("MaxResults").and_then(|size| size.parse().ok()).unwrap_or(0);
    if !(5..=1000).contains(&size) {
        return Err(error("InvalidParameterValue", "MaxResults must be 5 to 1000"));
    }
    let managed = parameters.get("IncludeManagedResources").is_some_and(|flag| flag == "true");
    if action != "DescribeSecurityGroups" && !managed {
        return Err(error("InvalidParameterValue", "managed resources were not asked for"));
    }
    if parameters.keys().any(|name| name.starts_with("InstanceId") || name.starts_with("GroupId") || name.starts_with("NetworkInterfaceId"))
    {
        return Err(error("InvalidParameterCombination", "MaxResults and ids"));
    }
    let wanted: Option<Vec<&String>> = match parameters.get("Filter.1.Name") {
        None => None,
        Some(name) if name == filter => {
            Some(parameters.iter().filter(|(name, _)| name.starts_with("Filter.1.Value.")).map(|(_, value)| value).collect())
        }
        Some(_) => return Err(error("InvalidParameterValue", "unknown filter")),
    };
    if wanted.as_ref().is_some_and(|ids| ids.len() > 200) {
        return Err(error("FilterLimitExceeded", "more than 200 values"));
    }
    let all = world.items.get(&(region.to_owned(), action.to_owned())).cloned().unwrap_or_default();
    let mut items: Vec<Item> = all.into_iter().filter(|(id, _)| wanted.as_ref().is_none_or(|ids| ids.contains(&id))).collect();
    if world.reversed {
        items.reverse();
    }
    let start = match parameters.get("NextToken") {
        None => 0,
        Some(token) => {
            token.strip_prefix("opaque+/=").and_then(|n| n.parse().ok()).ok_or_else(|| error("InvalidNextToken", "not a token"))?
        }
    };
    let end = items.len().min(start + size.min(world.page));
    let token = match fault {
        Some(Fault::RepeatToken) => format!("opaque+/={start}"),
        _ if end < items.len() => format!("opaque+/={end}"),
        _ => String::new(),
    };
    let rows: String = items[start..end].iter().map(|(_, xml)| format!("<item>{xml}</item>")).collect();
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
         <requestId>r</requestId><nextToken>{token}</nextToken><{set}>{rows}</{set}></{action}Response>"
    ))
}

fn whole(status: u16, body: String) -> Option<(u16, String, usize)> {
    let length = body.len();
    Some((status, body, length))
}

/// EC2's error document.
fn error(code: &str, message: &str) -> String {
    format!("<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r</RequestID></Response>")
}

/// The error document of STS and its like.
fn sts_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

fn parse(form: &str) -> BTreeMap<String, String> {
    form.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
