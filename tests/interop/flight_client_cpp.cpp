/** Arrow Flight C++, out of the wheel of pyarrow, as a client of the integration server: each
 *  scenario, and the base case with what is beside it (peer).
 *
 *    flight_client_cpp -port N -scenario NAME */

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/flight/api.h>
#include <arrow/flight/client_cookie_middleware.h>

namespace
{

namespace flight = arrow::flight;
using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;
using ClientPointer = std::unique_ptr<flight::FlightClient>;

/* ---- what is expected ---- */

void expect(bool is_so, const std::string &what)
{
    if (is_so)
        return;
    std::cerr << "expected " << what << '\n';
    std::exit(1);
}

template <typename T> T take(arrow::Result<T> result, const std::string &what)
{
    if (!result.ok())
        std::cerr << what << ": " << result.status().ToString() << '\n';
    expect(result.ok(), "no error");
    return std::move(result).ValueUnsafe();
}

void take(const arrow::Status &status, const std::string &what)
{
    take(status.ok() ? arrow::Result<int>(0) : arrow::Result<int>(status), what);
}

ClientPointer connect(int port, std::shared_ptr<flight::ClientMiddlewareFactory> middleware = {})
{
    flight::FlightClientOptions options;
    if (middleware != nullptr)
        options.middleware.push_back(std::move(middleware));
    const auto location = take(flight::Location::ForGrpcTcp("127.0.0.1", port), "location");
    return take(flight::FlightClient::Connect(location, options), "connect");
}

flight::FlightDescriptor command(const std::string &text)
{
    return flight::FlightDescriptor::Command(text);
}

std::unique_ptr<flight::FlightInfo> info_of(flight::FlightClient &client, const std::string &text)
{
    return take(client.GetFlightInfo(command(text)), "GetFlightInfo");
}

/** Numbers of a column in one batch. */
template <typename Type> std::vector<typename Type::c_type> numbers(const arrow::RecordBatch &batch)
{
    const auto &array = static_cast<const arrow::NumericArray<Type> &>(*batch.column(0)); // NOLINT
    return {array.raw_values(), array.raw_values() + array.length()};
}

std::shared_ptr<arrow::RecordBatch> batch_of(std::int64_t rows, std::int64_t first)
{
    arrow::Int64Builder number;
    arrow::StringBuilder text;
    for (std::int64_t i = 0; i < rows; ++i) {
        take(number.Append(first + i), "append");
        take(i % 7 == 0 ? text.AppendNull() : text.Append("row " + std::to_string(first + i)),
             "append");
    }
    const auto schema = arrow::schema(
        {arrow::field("number", arrow::int64()), arrow::field("text", arrow::utf8())});
    return arrow::RecordBatch::Make(schema, rows, {*number.Finish(), *text.Finish()});
}

/* ---- scenarios ---- */

class NameAndPassword : public flight::ClientAuthHandler
{
  public:
    arrow::Status Authenticate(flight::ClientAuthSender *out, flight::ClientAuthReader *in) override
    {
        flight::BasicAuth basic;
        basic.username = "arrow";
        basic.password = "flight";
        std::string text;
        ARROW_RETURN_NOT_OK(basic.SerializeToString(&text));
        ARROW_RETURN_NOT_OK(out->Write(text));
        return in->Read(&token_);
    }
    arrow::Status GetToken(std::string *token) override
    {
        *token = token_;
        return arrow::Status::OK();
    }

  private:
    std::string token_;
};

void auth_basic_proto(int port)
{
    const auto client = connect(port);
    const flight::Action action{"", arrow::Buffer::FromString("")};
    auto refused = client->DoAction(action);
    auto status = refused.ok() ? (*refused)->Next().status() : refused.status();
    const auto detail = flight::FlightStatusDetail::UnwrapStatus(status);
    expect(detail != nullptr && detail->code() == flight::FlightStatusCode::Unauthenticated,
           "UNAUTHENTICATED, not " + status.ToString());
    take(client->Authenticate({}, std::make_unique<NameAndPassword>()), "Authenticate");
    const auto results = take(client->DoAction(action), "DoAction");
    const auto result = take(results->Next(), "a result");
    expect(result != nullptr && result->body->ToString() == "arrow", "the name");
    expect(take(results->Next(), "the end") == nullptr, "one result");
}

/** Sends a header and keeps the one that comes back. */
class Echo : public flight::ClientMiddlewareFactory
{
  public:
    void StartCall(const flight::CallInfo &,
                   std::unique_ptr<flight::ClientMiddleware> *middleware) override
    {
        class Call : public flight::ClientMiddleware
        {
          public:
            explicit Call(std::string &back) : back_(back)
            {
            }
            void SendingHeaders(flight::AddCallHeaders *headers) override
            {
                headers->AddHeader("x-middleware", "expected value");
            }
            void ReceivedHeaders(const flight::CallHeaders &headers) override
            {
                const auto found = headers.find("x-middleware");
                if (found != headers.end())
                    back_ = found->second;
            }
            void CallCompleted(const arrow::Status &) override
            {
            }

          private:
            std::string &back_;
        };
        *middleware = std::make_unique<Call>(back);
    }
    std::string back;
};

void middleware(int port)
{
    const auto echo = std::make_shared<Echo>();
    const auto client = connect(port, echo);
    expect(!client->GetFlightInfo(command("")).ok(), "an error");
    expect(echo->back == "expected value", "the header on a failure");
    echo->back.clear();
    (void)info_of(*client, "success");
    expect(echo->back == "expected value", "the header on success");
}

Batches read_endpoints(flight::FlightClient &client, const flight::FlightInfo &info)
{
    Batches batches;
    for (const auto &endpoint : info.endpoints()) {
        expect(endpoint.locations.empty(), "no locations");
        auto reader = take(client.DoGet(endpoint.ticket), "DoGet");
        for (auto &batch : take(reader->ToRecordBatches(), "batches"))
            batches.push_back(batch);
    }
    return batches;
}

void ordered(int port)
{
    const auto client = connect(port);
    const auto info = info_of(*client, "ordered");
    expect(info->ordered(), "an ordered flight");
    const Batches batches = read_endpoints(*client, *info);
    const std::vector<std::vector<std::int32_t>> wanted = {
        {1, 2, 3}, {10, 20, 30}, {100, 200, 300}};
    expect(batches.size() == wanted.size(), "three batches");
    for (std::size_t i = 0; i < wanted.size(); ++i)
        expect(numbers<arrow::Int32Type>(*batches[i]) == wanted[i], "their values");
}

void expiration_get(int port)
{
    const auto client = connect(port);
    const auto info = info_of(*client, "expiration_time");
    expect(info->endpoints().size() == 3, "three endpoints");
    for (std::size_t i = 0; i < 3; ++i)
        expect(info->endpoints()[i].expiration_time.has_value() == (i > 0), "an expiration");
    const Batches batches = read_endpoints(*client, *info);
    for (std::uint32_t i = 0; i < 3; ++i)
        expect(numbers<arrow::UInt32Type>(*batches[i]) == std::vector<std::uint32_t>{i}, "i");
    expect(!client->DoGet(info->endpoints()[0].ticket).ok(), "that the first is read once");
}

void expiration_actions(int port)
{
    const auto client = connect(port);
    std::vector<std::string> names;
    for (const auto &type : take(client->ListActions(), "ListActions"))
        names.push_back(type.type);
    expect(names == std::vector<std::string>{"CancelFlightInfo", "RenewFlightEndpoint"}, "names");
}

void expiration_cancel(int port)
{
    const auto client = connect(port);
    auto info = info_of(*client, "expiration_time");
    const auto endpoints = info->endpoints();
    flight::CancelFlightInfoRequest request{std::move(info)};
    const auto result = take(client->CancelFlightInfo(request), "CancelFlightInfo");
    expect(result.status == flight::CancelStatus::kCancelled, "CANCELLED");
    for (const auto &endpoint : endpoints)
        expect(!client->DoGet(endpoint.ticket).ok(), "an error after CancelFlightInfo");
}

void expiration_renew(int port)
{
    const auto client = connect(port);
    const auto info = info_of(*client, "expiration_time");
    for (const auto &endpoint : info->endpoints()) {
        if (!endpoint.expiration_time.has_value())
            continue;
        const auto renewed = take(
            client->RenewFlightEndpoint(flight::RenewFlightEndpointRequest{endpoint}), "Renew");
        expect(renewed.expiration_time.has_value() &&
                   *renewed.expiration_time > *endpoint.expiration_time,
               "a later expiration");
    }
}

void reuse_connection(int port)
{
    const auto client = connect(port);
    const auto info = info_of(*client, "reuse");
    expect(info->endpoints().size() == 1 && info->endpoints()[0].locations.size() == 1 &&
               info->endpoints()[0].locations[0] == flight::Location::ReuseConnection(),
           "one location, which says to reuse the connection");
}

void poll_flight_info(int port)
{
    const auto client = connect(port);
    auto poll = take(client->PollFlightInfo(command("heavy query")), "PollFlightInfo");
    expect(poll->descriptor.has_value() && poll->progress.has_value() && *poll->progress >= 0 &&
               *poll->progress <= 1 && poll->expiration_time.has_value(),
           "a query under way");
    poll = take(client->PollFlightInfo(*poll->descriptor), "PollFlightInfo");
    expect(!poll->descriptor.has_value() && poll->progress == 1.0 &&
               !poll->expiration_time.has_value() && poll->info != nullptr,
           "a query that is done");
}

void app_metadata(int port)
{
    const auto client = connect(port);
    const auto info = info_of(*client, "foobar");
    expect(info->app_metadata() == "foobar" && info->endpoints().size() == 1 &&
               info->endpoints()[0].app_metadata == "foobar",
           "the command as metadata");
}

void session_options(int port)
{
    const auto client = connect(port, flight::GetCookieFactory());
    const std::vector<std::string> list = {"a", "b", "sea", "dee", " ", "  ", "geee"};
    using Options = std::map<std::string, flight::SessionOptionValue>;
    const auto options = [&client] {
        return take(client->GetSessionOptions({}, {}), "GetSessionOptions").session_options;
    };
    expect(options().empty(), "a new session");
    const flight::SetSessionOptionsRequest request{Options{{"foolong", std::int64_t{123}},
                                                           {"bardouble", 456.0},
                                                           {"yes", true},
                                                           {"lol_invalid", std::string("no")},
                                                           {"bad", std::string("lol_invalid")},
                                                           {"list", list}}};
    const auto errors = take(client->SetSessionOptions({}, request), "SetSessionOptions").errors;
    expect(errors.size() == 2 &&
               errors.at("lol_invalid").value == flight::SetSessionOptionErrorValue::kInvalidName &&
               errors.at("bad").value == flight::SetSessionOptionErrorValue::kInvalidValue,
           "two errors");
    Options wanted{
        {"foolong", std::int64_t{123}}, {"bardouble", 456.0}, {"yes", true}, {"list", list}};
    expect(options() == wanted, "the options that were set");
    take(client->SetSessionOptions(
             {}, flight::SetSessionOptionsRequest{Options{{"foolong", std::monostate{}}}}),
         "SetSessionOptions");
    wanted.erase("foolong");
    expect(options() == wanted, "one option less");
    expect(take(client->CloseSession({}, {}), "CloseSession").status ==
               flight::CloseSessionStatus::kClosed,
           "a closed session");
}

void exchange(int port)
{
    const auto client = connect(port);
    auto call = take(client->DoExchange(command("echo")), "DoExchange");
    const auto schema = batch_of(0, 0)->schema();
    take(call.writer->Begin(schema), "Begin");
    for (std::int64_t i = 0; i < 4; ++i) {
        const auto batch = batch_of(10, i);
        const auto number = arrow::Buffer::FromString(std::to_string(i));
        take(i % 2 == 0 ? call.writer->WriteWithMetadata(*batch, number)
                        : call.writer->WriteRecordBatch(*batch),
             "write");
        const auto back = take(call.reader->Next(), "read");
        expect(back.data != nullptr && back.data->Equals(*batch), "the batch back");
        expect(i % 2 == 0 ? back.app_metadata != nullptr && back.app_metadata->Equals(*number)
                          : back.app_metadata == nullptr,
               "its metadata back");
    }
    take(call.writer->DoneWriting(), "DoneWriting");
    const auto last = take(call.reader->Next(), "the end");
    expect(last.data == nullptr && last.app_metadata == nullptr, "the end");
    take(call.writer->Close(), "Close");
}

/* ---- the base case and beside it ---- */

void put(flight::FlightClient &client, const std::string &name, const Batches &batches)
{
    auto call =
        take(client.DoPut(flight::FlightDescriptor::Path({name}), batches[0]->schema()), "DoPut");
    for (std::size_t i = 0; i < batches.size(); ++i) {
        std::shared_ptr<arrow::Buffer> answer;
        const auto number = arrow::Buffer::FromString(std::to_string(i));
        take(call.writer->WriteWithMetadata(*batches[i], number), "write");
        take(call.reader->ReadMetadata(&answer), "an answer");
        expect(answer != nullptr && answer->Equals(*number), "an answer for each batch");
    }
    take(call.writer->DoneWriting(), "DoneWriting");
    take(call.writer->Close(), "Close");
}

/** What was put, in batches of any size, with numbers as metadata where a batch begins. */
void get(flight::FlightClient &client, const std::string &name, const Batches &batches)
{
    const auto info =
        take(client.GetFlightInfo(flight::FlightDescriptor::Path({name})), "GetFlightInfo");
    expect(info->endpoints().size() == 1, "one endpoint");
    auto reader = take(client.DoGet(info->endpoints()[0].ticket), "DoGet");
    for (std::size_t i = 0; i < batches.size(); ++i) {
        const auto chunk = take(reader->Next(), "a batch");
        expect(chunk.data != nullptr && chunk.data->Equals(*batches[i]), "the same batch");
        expect(chunk.app_metadata != nullptr && chunk.app_metadata->ToString() == std::to_string(i),
               "its number");
    }
    expect(take(reader->Next(), "the end").data == nullptr, "no more batches");
}

void peer(int port)
{
    const auto client = connect(port);
    const Batches batches = {batch_of(17, 0), batch_of(0, 0), batch_of(2000, 17)};
    put(*client, "cpp", batches);
    get(*client, "cpp", batches);
    const auto status = client->GetFlightInfo(flight::FlightDescriptor::Path({"none"})).status();
    expect(status.IsKeyError() && status.message().find("NOT_FOUND") != std::string::npos,
           "NOT_FOUND, not " + status.ToString());
    const Batches large = {batch_of(2500000, 0)};
    put(*client, "cpp large", large);
    get(*client, "cpp large", large);
    auto reader = take(client->DoGet(flight::Ticket{"cpp large"}), "DoGet");
    reader->Cancel();
    while (true) {
        const auto chunk = reader->Next();
        if (!chunk.ok())
            break;
        expect(chunk->data != nullptr, "a cancelled call");
    }
    get(*client, "cpp", batches);
    exchange(port);
}

const struct {
    const char *name;
    void (*run)(int port);
} scenarios[] = {
    {"app_metadata_flight_info_endpoint", app_metadata},
    {"auth:basic_proto", auth_basic_proto},
    {"do_exchange:echo", exchange},
    {"expiration_time:cancel_flight_info", expiration_cancel},
    {"expiration_time:do_get", expiration_get},
    {"expiration_time:list_actions", expiration_actions},
    {"expiration_time:renew_flight_endpoint", expiration_renew},
    {"location:reuse_connection", reuse_connection},
    {"middleware", middleware},
    {"ordered", ordered},
    {"peer", peer},
    {"poll_flight_info", poll_flight_info},
    {"session_options", session_options},
};

} // namespace

int main(int argc, char **argv)
{
    int port = 0;
    std::string wanted;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "-port") == 0)
            port = std::atoi(argv[i + 1]);
        if (std::strcmp(argv[i], "-scenario") == 0)
            wanted = argv[i + 1];
    }
    for (const auto &scenario : scenarios) {
        if (wanted == scenario.name) {
            scenario.run(port);
            return 0;
        }
    }
    std::cerr << "usage: flight_client_cpp -port N -scenario NAME\n";
    return 2;
}
