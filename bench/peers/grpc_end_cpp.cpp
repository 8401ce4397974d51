/** gRPC C++ as an end of bench_grpc, by its generic calls over byte buffers: a completion queue and
 *  one thread that takes from it, at either side. */

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "scenarios/grpc_end.h"

namespace
{

using grpc::ByteBuffer;

ByteBuffer bytes_of(const void *data, std::size_t bytes)
{
    const grpc::Slice slice(data, bytes);
    return ByteBuffer(&slice, 1);
}

/** A message of the source, which is not copied. */
ByteBuffer source_message(std::uint64_t index, std::size_t bytes)
{
    void *data = const_cast<void *>(grpc_end_source(index, bytes));
    const grpc::Slice slice(data, bytes, grpc::Slice::STATIC_SLICE);
    return ByteBuffer(&slice, 1);
}

/* ---- server ---- */

class Service
{
  public:
    Service()
    {
        int port = 0;
        grpc::ServerBuilder builder;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
        builder.RegisterAsyncGenericService(&generic_);
        builder.SetMaxReceiveMessageSize(-1);
        queue_ = builder.AddCompletionQueue();
        server_ = builder.BuildAndStart();
        if (server_ == nullptr)
            std::exit(1);
        grpc_end_say_port(static_cast<unsigned>(port));
    }
    [[noreturn]] void run();
    grpc::AsyncGenericService &generic()
    {
        return generic_;
    }
    grpc::ServerCompletionQueue *queue()
    {
        return queue_.get();
    }

  private:
    grpc::AsyncGenericService generic_;
    std::unique_ptr<grpc::ServerCompletionQueue> queue_;
    std::unique_ptr<grpc::Server> server_;
};

/** One call, which waits to be made at first. */
class ServerCall
{
  public:
    explicit ServerCall(Service &service) : service_(service), io_(&context_)
    {
        service.generic().RequestCall(&context_, &io_, service.queue(), service.queue(), this);
    }

    /** What was begun has ended. */
    void step(bool is_done)
    {
        switch (state_) {
        case State::kAwaited:
            new ServerCall(service_);
            return read();
        case State::kReading:
            return is_done ? answer() : finish();
        case State::kWriting:
            return !is_done ? finish() : wanted_.bytes > 0 ? write_next() : read();
        case State::kFinishing:
            delete this;
        }
    }

  private:
    enum class State { kAwaited, kReading, kWriting, kFinishing };

    void read()
    {
        state_ = State::kReading;
        io_.Read(&message_, this);
    }
    void finish()
    {
        state_ = State::kFinishing;
        io_.Finish(grpc::Status::OK, this);
    }
    void answer()
    {
        state_ = State::kWriting;
        if (context_.method() == GRPC_END_DOWN)
            return begin_down();
        if (context_.method() == GRPC_END_ECHO)
            return io_.Write(message_, this);
        state_ = State::kFinishing;
        io_.WriteAndFinish(message_, grpc::WriteOptions(), grpc::Status::OK, this);
    }
    void begin_down()
    {
        grpc::Slice slice;
        if (!message_.DumpToSingleSlice(&slice).ok() || slice.size() != sizeof wanted_)
            return finish();
        std::memcpy(&wanted_, slice.begin(), sizeof wanted_);
        write_next();
    }
    /** Without a buffer hint: a write that has one is not told to have ended before the next one,
     *  and there is one at a time. */
    void write_next()
    {
        const bool is_last = next_ + 1 == wanted_.count;
        const ByteBuffer message = source_message(next_++, wanted_.bytes);
        if (!is_last)
            return io_.Write(message, this);
        state_ = State::kFinishing;
        io_.WriteAndFinish(message, grpc::WriteOptions(), grpc::Status::OK, this);
    }

    Service &service_;
    grpc::GenericServerContext context_;
    grpc::GenericServerAsyncReaderWriter io_;
    State state_ = State::kAwaited;
    ByteBuffer message_;
    grpc_end_down wanted_ = {0, 0};
    std::uint64_t next_ = 0;
};

void Service::run()
{
    void *tag = nullptr;
    bool is_done = false;
    new ServerCall(*this);
    while (queue_->Next(&tag, &is_done))
        static_cast<ServerCall *>(tag)->step(is_done);
    std::exit(0);
}

/* ---- client ---- */

/** A call that stays. */
struct Held {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> io;
};

class Client
{
  public:
    Client(std::string address, bool is_contiguous)
        : address_(std::move(address)), is_contiguous_(is_contiguous)
    {
        channels_.push_back(channel());
    }

    bool stream(const grpc_end_down &wanted)
    {
        grpc::ClientContext context;
        grpc::GenericStub stub(channels_[0]);
        const auto io = stub.PrepareCall(&context, GRPC_END_DOWN, &queue_);
        io->StartCall(this);
        bool right = took();
        io->WriteLast(bytes_of(&wanted, sizeof wanted), grpc::WriteOptions(), this);
        right = took() && right;
        std::uint64_t seen = 0;
        ByteBuffer message;
        for (io->Read(&message, this); took(); io->Read(&message, this)) {
            right = is_right(message, wanted.bytes, seen++) && right;
            message.Clear();
        }
        grpc::Status status;
        io->Finish(&status, this);
        return took() && right && status.ok() && seen == wanted.count;
    }

    bool unary(std::size_t bytes)
    {
        return unary_on(channels_[0], bytes);
    }

    std::size_t connections(std::size_t count)
    {
        std::size_t there = 0;
        for (std::size_t i = 0; i < count; ++i) {
            channels_.push_back(channel());
            there += unary_on(channels_.back(), GRPC_END_SMALL);
        }
        return there;
    }

    std::size_t streams(std::size_t count)
    {
        while (channels_.size() < GRPC_END_CONNECTIONS)
            channels_.push_back(channel());
        for (std::size_t i = 0; i < count; ++i) {
            grpc::GenericStub stub(channels_[i % GRPC_END_CONNECTIONS]);
            held_.push_back(std::make_unique<Held>());
            held_[i]->io = stub.PrepareCall(&held_[i]->context, GRPC_END_ECHO, &queue_);
            held_[i]->io->StartCall(this);
            if (!took())
                return 0;
        }
        return again();
    }

    std::size_t again()
    {
        const char message[GRPC_END_SMALL] = {};
        std::size_t answers = 0;
        for (const auto &held : held_) {
            ByteBuffer back;
            held->io->Write(bytes_of(message, sizeof message), this);
            const bool is_sent = took();
            held->io->Read(&back, this);
            answers += took() && is_sent && back.Length() == sizeof message;
        }
        return answers;
    }

  private:
    std::shared_ptr<grpc::Channel> channel() const
    {
        grpc::ChannelArguments arguments;
        arguments.SetMaxReceiveMessageSize(-1);
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
    }
    bool took()
    {
        void *tag = nullptr;
        bool is_done = false;
        return queue_.Next(&tag, &is_done) && is_done;
    }
    bool unary_on(const std::shared_ptr<grpc::Channel> &channel, std::size_t bytes)
    {
        const char data[GRPC_END_SMALL] = {};
        grpc::ClientContext context;
        grpc::GenericStub stub(channel);
        const auto call =
            stub.PrepareUnaryCall(&context, GRPC_END_UNARY, bytes_of(data, bytes), &queue_);
        grpc::Status status;
        ByteBuffer back;
        call->StartCall();
        call->Finish(&back, &status, this);
        return took() && status.ok() && back.Length() == bytes;
    }
    /** In one piece, as who reads columns from it needs it, or in those that came. */
    bool is_right(const ByteBuffer &message, std::size_t bytes, std::uint64_t index) const
    {
        if (message.Length() != bytes)
            return false;
        if (!is_contiguous_) {
            std::vector<grpc::Slice> slices;
            return message.Dump(&slices).ok();
        }
        grpc::Slice whole;
        if (!message.TrySingleSlice(&whole).ok() && !message.DumpToSingleSlice(&whole).ok())
            return false;
        return grpc_end_is_right(whole.begin(), bytes, index);
    }

    std::string address_;
    bool is_contiguous_;
    grpc::CompletionQueue queue_;
    std::vector<std::shared_ptr<grpc::Channel>> channels_;
    std::vector<std::unique_ptr<Held>> held_;
};

Client &of(void *context)
{
    return *static_cast<Client *>(context);
}

int call(const char *port, bool is_contiguous)
{
    Client client(std::string("127.0.0.1:") + port, is_contiguous);
    const grpc_end_client calls = {
        [](void *context, const grpc_end_down *wanted) { return of(context).stream(*wanted); },
        [](void *context, std::size_t bytes) { return of(context).unary(bytes); },
        [](void *context, std::size_t count) { return of(context).connections(count); },
        [](void *context, std::size_t count) { return of(context).streams(count); },
        [](void *context) { return of(context).again(); },
        nullptr,
        nullptr,
        &client};
    const int status = grpc_end_obey(&calls);
    std::_Exit(status); /* calls that are held stay so */
}

} // namespace

int main(int argc, char **argv)
{
    const std::string order = argc > 1 ? argv[1] : "";
    grpc_end_begin();
    if (order == "serve") {
        (void)grpc_end_source(0, 1024);
        Service().run();
    }
    if (argc > 2 && (order == "call" || order == "call-scattered"))
        return call(argv[2], order == "call");
    std::fprintf(stderr, "usage: %s serve | call PORT | call-scattered PORT\n", argv[0]);
    return 2;
}
