//! arrow-flight as a peer: a server that keeps what is put, and a client of the integration server's
//! base case. Both have tonic's limit of 4 MiB for a message that comes.
//!
//!     flight-peer server -port=N | client -port N

use std::collections::HashMap;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use arrow_array::{Array, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::encode::{FlightDataEncoderBuilder, GRPC_TARGET_MAX_FLIGHT_SIZE_BYTES};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightClient, FlightData, FlightDescriptor,
    FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, PollInfo, PutResult,
    SchemaResult, Ticket,
};
use futures::{stream, Stream, StreamExt, TryStreamExt};
use tonic::transport::{Endpoint, Server, Uri};
use tonic::{Code, Request, Response, Status, Streaming};

const LARGE_ROWS: usize = 8 << 20; // of 8 bytes each: 64 MiB

type Done = Result<(), Box<dyn Error>>;

// ---- server ----

#[derive(Default)]
struct Kept {
    location: String,
    flights: Mutex<HashMap<String, Vec<FlightData>>>,
}

fn is_batch(message: &FlightData) -> bool {
    // A message's header tells its kind; those of schemas and dictionaries have no metadata here.
    !message.app_metadata.is_empty()
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

fn none<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in this peer"))
}

#[tonic::async_trait]
impl FlightService for Kept {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let descriptor = request.into_inner();
        let name = descriptor.path.first().cloned().unwrap_or_default();
        if !self.flights.lock().unwrap().contains_key(&name) {
            return Err(Status::not_found("NOT_FOUND: there is no such flight"));
        }
        let endpoint = FlightEndpoint::new()
            .with_ticket(Ticket::new(name))
            .with_location(&self.location);
        let info = FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint);
        Ok(Response::new(info))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let ticket = request.into_inner().ticket;
        let name = String::from_utf8_lossy(&ticket).into_owned();
        let flights = self.flights.lock().unwrap();
        let kept = flights.get(&name).cloned();
        let messages = kept.ok_or_else(|| Status::not_found("NOT_FOUND: no such flight"))?;
        Ok(Response::new(Box::pin(stream::iter(messages.into_iter().map(Ok)))))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let mut input = request.into_inner();
        let (answers, output) = tokio::sync::mpsc::unbounded_channel();
        let mut kept = Vec::new();
        let mut name = None;
        let first = input.message().await?.ok_or_else(|| Status::invalid_argument("nothing"))?;
        if let Some(descriptor) = &first.flight_descriptor {
            name = descriptor.path.first().cloned();
        }
        let name = name.ok_or_else(|| Status::invalid_argument("no path"))?;
        kept.push(FlightData { flight_descriptor: None, ..first });
        let (done, all) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            while let Some(next) = input.next().await {
                match next {
                    Ok(message) => {
                        if is_batch(&message) {
                            let answer = PutResult { app_metadata: message.app_metadata.clone() };
                            let _ = answers.send(Ok(answer));
                        }
                        kept.push(message);
                    }
                    Err(status) => {
                        let _ = answers.send(Err(status));
                        return;
                    }
                }
            }
            let _ = done.send((name, kept));
        });
        let flights = FLIGHTS.get().unwrap().clone();
        let output = tokio_stream::wrappers::UnboundedReceiverStream::new(output).chain(
            stream::once(async move {
                if let Ok((name, kept)) = all.await {
                    flights.flights.lock().unwrap().insert(name, kept);
                }
                None
            })
            .filter_map(futures::future::ready),
        );
        Ok(Response::new(Box::pin(output)))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        // The descriptor alone would be the end of the stream for some clients.
        let output = request.into_inner().try_filter_map(|message| async move {
            let is_empty = message.data_header.is_empty() && message.app_metadata.is_empty();
            Ok((!is_empty).then_some(FlightData { flight_descriptor: None, ..message }))
        });
        Ok(Response::new(Box::pin(output)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        none()
    }
    async fn list_flights(
        &self,
        _: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        none()
    }
    async fn poll_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        none()
    }
    async fn get_schema(
        &self,
        _: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        none()
    }
    async fn do_action(
        &self,
        _: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        none()
    }
    async fn list_actions(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        none()
    }
}

/// What the one server has: streams of answers outlive the borrow that a call has of it.
static FLIGHTS: std::sync::OnceLock<Arc<Kept>> = std::sync::OnceLock::new();

async fn serve(port: u16) -> Done {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();
    let location = format!("grpc+tcp://127.0.0.1:{port}");
    let kept = FLIGHTS.get_or_init(|| Arc::new(Kept { location, ..Default::default() })).clone();
    println!("Server listening on localhost:{port}");
    Server::builder()
        .add_service(FlightServiceServer::from_arc(kept))
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

// ---- client ----

fn batch_of(first: i32, rows: i32) -> RecordBatch {
    let numbers = first..first + rows;
    let texts = numbers.clone().map(|i| (i % 7 != 0).then(|| format!("row {i}")));
    RecordBatch::try_from_iter_with_nullable([
        ("number", Arc::new(Int32Array::from_iter_values(numbers)) as Arc<dyn Array>, true),
        ("text", Arc::new(StringArray::from_iter(texts)) as Arc<dyn Array>, true),
    ])
    .unwrap()
}

/// Messages with the number of the batch as metadata.
fn messages_of(
    batches: Vec<RecordBatch>,
    descriptor: FlightDescriptor,
) -> impl Stream<Item = Result<FlightData, FlightError>> {
    let schema = batches[0].schema();
    let encoded = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_max_flight_data_size(GRPC_TARGET_MAX_FLIGHT_SIZE_BYTES)
        .with_flight_descriptor(Some(descriptor))
        .build(stream::iter(batches.into_iter().map(Ok)));
    encoded.enumerate().map(|(i, message)| {
        message.map(|message| match i {
            0 => message,
            _ => message.with_app_metadata((i - 1).to_string()),
        })
    })
}

/// Returns how many messages it took.
async fn put(client: &mut FlightClient, name: &str, batches: Vec<RecordBatch>) -> Result<usize, Box<dyn Error>> {
    let descriptor = FlightDescriptor::new_path(vec![name.to_string()]);
    let messages: Vec<_> = messages_of(batches, descriptor).collect().await;
    let count = messages.len() - 1;
    let answers: Vec<PutResult> =
        client.do_put(stream::iter(messages)).await?.try_collect().await?;
    assert_eq!(answers.len(), count);
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer.app_metadata, i.to_string().as_bytes());
    }
    Ok(count)
}

async fn batches_of(mut data: FlightDataDecoder) -> Result<Vec<(RecordBatch, String)>, FlightError> {
    let mut batches = Vec::new();
    while let Some(decoded) = data.try_next().await? {
        if let DecodedPayload::RecordBatch(batch) = decoded.payload {
            let number = String::from_utf8_lossy(&decoded.inner.app_metadata).into_owned();
            batches.push((batch, number));
        }
    }
    Ok(batches)
}

async fn get(client: &mut FlightClient, name: &str) -> Result<Vec<(RecordBatch, String)>, Box<dyn Error>> {
    let descriptor = FlightDescriptor::new_path(vec![name.to_string()]);
    let info = client.get_flight_info(descriptor).await?;
    assert_eq!(info.endpoint.len(), 1);
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    Ok(batches_of(client.do_get(ticket).await?.into_inner()).await?)
}

fn status_of(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("{other}"),
    }
}

async fn call(port: u16) -> Done {
    let uri = Uri::builder()
        .scheme("http")
        .authority(format!("127.0.0.1:{port}"))
        .path_and_query("/")
        .build()?;
    let mut client = FlightClient::new(Endpoint::from(uri).connect().await?);
    let batches = vec![batch_of(0, 17), batch_of(17, 1), batch_of(18, 2000)];
    put(&mut client, "rust", batches.clone()).await?;
    let back = get(&mut client, "rust").await?;
    let wanted: Vec<_> =
        batches.iter().cloned().enumerate().map(|(i, batch)| (batch, i.to_string())).collect();
    assert_eq!(back, wanted);

    let none = FlightDescriptor::new_path(vec!["none".to_string()]);
    let status = status_of(client.get_flight_info(none).await.unwrap_err());
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("NOT_FOUND"), "{status}");

    let values = Float64Array::from_iter_values((0..LARGE_ROWS).map(|i| i as f64));
    let large = RecordBatch::try_from_iter([("value", Arc::new(values) as Arc<dyn Array>)])?;
    assert!(put(&mut client, "rust large", vec![large]).await? > 16);
    let mut at = 0;
    for (batch, _) in get(&mut client, "rust large").await? {
        let values = batch.column(0).as_any().downcast_ref::<Float64Array>().unwrap();
        for value in values.values() {
            assert_eq!(*value, at as f64);
            at += 1;
        }
    }
    assert_eq!(at, LARGE_ROWS);

    let echo = messages_of(batches.clone(), FlightDescriptor::new_cmd("echo"));
    let back = batches_of(client.do_exchange(echo).await?.into_inner()).await?;
    assert_eq!(back, wanted);

    let mut cancelled = client.do_get(Ticket::new("rust large")).await?.into_inner();
    cancelled.try_next().await?;
    drop(cancelled);
    assert_eq!(get(&mut client, "rust").await?, wanted);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = arguments.join(" ");
    let port = text.rsplit(['=', ' ']).next().unwrap_or_default().parse()?;
    match arguments[0].as_str() {
        "server" => serve(port).await,
        "client" => call(port).await,
        other => Err(format!("server or client, not {other}").into()),
    }
}
