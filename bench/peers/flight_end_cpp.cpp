/** Arrow Flight C++ as an end of bench_flight, of the libraries and headers inside the wheel of
 *  pyarrow: a server of FlightServerBase; a client that makes each call and waits for it. */

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/flight/api.h>

#include "scenarios/grpc_end.h"

namespace
{

namespace flight = arrow::flight;
using arrow::Status;

constexpr std::size_t kColumns = GRPC_END_COLUMNS;

std::shared_ptr<arrow::Schema> schema()
{
    arrow::FieldVector fields;
    for (const char *name : {"a", "b", "c", "d"})
        fields.push_back(arrow::field(name, arrow::int64(), false));
    return arrow::schema(fields);
}

/** A batch over a message of the source, which is not copied: a quarter of it for each column. */
std::shared_ptr<arrow::RecordBatch> source_batch(std::uint64_t index, std::size_t bytes)
{
    const auto *data = static_cast<const std::uint8_t *>(grpc_end_source(index, bytes));
    const auto part = static_cast<std::int64_t>(bytes / kColumns);
    const auto rows = part / static_cast<std::int64_t>(sizeof(std::int64_t));
    std::vector<std::shared_ptr<arrow::ArrayData>> columns;
    for (std::size_t i = 0; i < kColumns; ++i) {
        auto buffer = std::make_shared<arrow::Buffer>(data + i * (bytes / kColumns), part);
        columns.push_back(arrow::ArrayData::Make(arrow::int64(), rows, {nullptr, buffer}, 0));
    }
    static const std::shared_ptr<arrow::Schema> kept = schema();
    return arrow::RecordBatch::Make(kept, rows, std::move(columns));
}

/** Whether its first column begins, and its last one ends, as the message of the source does. */
bool is_right(const arrow::RecordBatch &batch, std::uint64_t index, std::size_t bytes)
{
    if (batch.num_columns() != static_cast<int>(kColumns) ||
        batch.num_rows() * kColumns * sizeof(std::int64_t) != bytes)
        return false;
    const auto first = std::static_pointer_cast<arrow::Int64Array>(batch.column(0));
    const auto last = std::static_pointer_cast<arrow::Int64Array>(batch.column(kColumns - 1));
    return grpc_end_columns_are_right(first->raw_values(), last->raw_values(), bytes, index);
}

std::string words_of(const grpc_end_down &wanted)
{
    return {reinterpret_cast<const char *>(&wanted), sizeof wanted};
}

bool read_words(const std::string &text, grpc_end_down &wanted)
{
    if (text.size() != sizeof wanted)
        return false;
    std::memcpy(&wanted, text.data(), sizeof wanted);
    return true;
}

/* ---- server ---- */

/** Batches of the source, one after the other. */
class SourceReader : public arrow::RecordBatchReader
{
  public:
    explicit SourceReader(const grpc_end_down &wanted) : wanted_(wanted), schema_(::schema())
    {
    }
    std::shared_ptr<arrow::Schema> schema() const override
    {
        return schema_;
    }
    Status ReadNext(std::shared_ptr<arrow::RecordBatch> *out) override
    {
        *out = next_ < wanted_.count ? source_batch(next_, wanted_.bytes) : nullptr;
        ++next_;
        return Status::OK();
    }

  private:
    grpc_end_down wanted_;
    std::shared_ptr<arrow::Schema> schema_;
    std::uint64_t next_ = 0;
};

class Server : public flight::FlightServerBase
{
  public:
    Status DoGet(const flight::ServerCallContext &, const flight::Ticket &ticket,
                 std::unique_ptr<flight::FlightDataStream> *stream) override
    {
        grpc_end_down wanted;
        if (!read_words(ticket.ticket, wanted))
            return Status::Invalid("a ticket is two words");
        *stream =
            std::make_unique<flight::RecordBatchStream>(std::make_shared<SourceReader>(wanted));
        return Status::OK();
    }
    Status DoPut(const flight::ServerCallContext &,
                 std::unique_ptr<flight::FlightMessageReader> reader,
                 std::unique_ptr<flight::FlightMetadataWriter> writer) override
    {
        grpc_end_down wanted;
        if (!read_words(reader->descriptor().cmd, wanted))
            return Status::Invalid("a command is two words");
        for (std::uint64_t seen = 0;; ++seen) {
            ARROW_ASSIGN_OR_RAISE(const flight::FlightStreamChunk chunk, reader->Next());
            if (chunk.data == nullptr)
                return seen == wanted.count
                           ? writer->WriteMetadata(*arrow::Buffer::FromString("ok"))
                           : Status::Invalid("too few batches");
            if (!is_right(*chunk.data, seen, wanted.bytes))
                return Status::Invalid("a wrong batch");
        }
    }
    Status DoAction(const flight::ServerCallContext &, const flight::Action &action,
                    std::unique_ptr<flight::ResultStream> *results) override
    {
        *results = std::make_unique<flight::SimpleResultStream>(
            std::vector<flight::Result>{flight::Result{action.body}});
        return Status::OK();
    }
};

int serve()
{
    Server server;
    const flight::FlightServerOptions options(*flight::Location::ForGrpcTcp("127.0.0.1", 0));
    (void)grpc_end_source(0, 1024);
    if (!server.Init(options).ok())
        return 1;
    grpc_end_say_port(static_cast<unsigned>(server.port()));
    return server.Serve().ok() ? 0 : 1;
}

/* ---- client ---- */

class Client
{
  public:
    explicit Client(const char *port)
    {
        const auto location = *flight::Location::ForGrpcTcp("127.0.0.1", std::atoi(port));
        for (auto &client : clients_)
            client = *flight::FlightClient::Connect(location);
    }
    bool get(const grpc_end_down &wanted)
    {
        return get_on(*clients_[0], wanted);
    }
    bool two(const grpc_end_down &wanted)
    {
        bool is_other_right = false;
        std::thread other([&] { is_other_right = get_on(*clients_[1], wanted); });
        const bool is_one_right = get_on(*clients_[0], wanted);
        other.join();
        return is_one_right && is_other_right;
    }
    bool put(const grpc_end_down &wanted)
    {
        auto call =
            clients_[0]->DoPut(flight::FlightDescriptor::Command(words_of(wanted)), schema());
        if (!call.ok())
            return false;
        for (std::uint64_t i = 0; i < wanted.count; ++i)
            if (!call->writer->WriteRecordBatch(*source_batch(i, wanted.bytes)).ok())
                return false;
        std::shared_ptr<arrow::Buffer> answer;
        return call->writer->DoneWriting().ok() && call->reader->ReadMetadata(&answer).ok() &&
               answer != nullptr && answer->ToString() == "ok" && call->writer->Close().ok();
    }
    bool unary(std::size_t bytes)
    {
        const flight::Action action{"echo", std::make_shared<arrow::Buffer>(small_, bytes)};
        auto results = clients_[0]->DoAction(action);
        if (!results.ok())
            return false;
        const auto result = (*results)->Next();
        if (!result.ok() || *result == nullptr ||
            (*result)->body->size() != static_cast<std::int64_t>(bytes))
            return false;
        const auto none = (*results)->Next();
        return none.ok() && *none == nullptr;
    }

  private:
    static bool get_on(flight::FlightClient &client, const grpc_end_down &wanted)
    {
        auto reader = client.DoGet(flight::Ticket{words_of(wanted)});
        if (!reader.ok())
            return false;
        for (std::uint64_t seen = 0;; ++seen) {
            const auto chunk = (*reader)->Next();
            if (!chunk.ok())
                return false;
            if (chunk->data == nullptr)
                return seen == wanted.count;
            if (!is_right(*chunk->data, seen, wanted.bytes))
                return false;
        }
    }

    std::unique_ptr<flight::FlightClient> clients_[2];
    std::uint8_t small_[GRPC_END_SMALL] = {};
};

Client &of(void *context)
{
    return *static_cast<Client *>(context);
}

int call(const char *port)
{
    Client client(port);
    const grpc_end_client calls = {
        [](void *context, const grpc_end_down *wanted) { return of(context).get(*wanted); },
        [](void *context, std::size_t bytes) { return of(context).unary(bytes); },
        nullptr,
        nullptr,
        nullptr,
        [](void *context, const grpc_end_down *wanted) { return of(context).put(*wanted); },
        [](void *context, const grpc_end_down *wanted) { return of(context).two(*wanted); },
        &client};
    return grpc_end_obey(&calls);
}

} // namespace

int main(int argc, char **argv)
{
    const std::string order = argc > 1 ? argv[1] : "";
    grpc_end_begin();
    if (order == "serve")
        return serve();
    if (argc > 2 && order == "call")
        return call(argv[2]);
    std::fprintf(stderr, "usage: %s serve | call PORT\n", argv[0]);
    return 2;
}
