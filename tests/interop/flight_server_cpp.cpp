/** Arrow Flight C++, out of the wheel of pyarrow, as a server for our integration client: what
 *  pyarrow's own servers cannot offer, PollFlightInfo and app metadata of infos and endpoints.
 *
 *    flight_server_cpp -port=N */

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/flight/api.h>

namespace
{

namespace flight = arrow::flight;
using arrow::Status;
using InfoPointer = std::unique_ptr<flight::FlightInfo>;

flight::Timestamp in_seconds(int seconds)
{
    return std::chrono::time_point_cast<flight::Timestamp::duration>(
        std::chrono::system_clock::now() + std::chrono::seconds(seconds));
}

/** One endpoint; its location says to reuse the connection where the command is "reuse". */
arrow::Result<InfoPointer> info_of(const flight::FlightDescriptor &descriptor)
{
    const auto schema = arrow::schema({arrow::field("number", arrow::uint32())});
    std::vector<flight::Location> locations;
    if (descriptor.cmd == "reuse")
        locations.push_back(flight::Location::ReuseConnection());
    const flight::FlightEndpoint endpoint{flight::Ticket{"ticket"}, locations, std::nullopt,
                                          descriptor.cmd};
    ARROW_ASSIGN_OR_RAISE(auto info, flight::FlightInfo::Make(*schema, descriptor, {endpoint}, -1,
                                                              -1, false, descriptor.cmd));
    return std::make_unique<flight::FlightInfo>(std::move(info));
}

class Server : public flight::FlightServerBase
{
  public:
    Status GetFlightInfo(const flight::ServerCallContext & /*context*/,
                         const flight::FlightDescriptor &request, InfoPointer *info) override
    {
        return info_of(request).Value(info);
    }

    /** Under way at first; done when it is asked for again, by the descriptor that it told. */
    Status PollFlightInfo(const flight::ServerCallContext & /*context*/,
                          const flight::FlightDescriptor &request,
                          std::unique_ptr<flight::PollInfo> *told) override
    {
        ARROW_ASSIGN_OR_RAISE(auto info, info_of(request));
        auto answer = std::make_unique<flight::PollInfo>();
        answer->info = std::move(info);
        answer->progress = request.cmd == "poll" ? 1.0 : 0.1;
        if (request.cmd != "poll") {
            answer->descriptor = flight::FlightDescriptor::Command("poll");
            answer->expiration_time = in_seconds(10);
        }
        *told = std::move(answer);
        return Status::OK();
    }
};

int serve(int port)
{
    Server server;
    const auto location = flight::Location::ForGrpcTcp("127.0.0.1", port);
    if (!location.ok() || !server.Init(flight::FlightServerOptions(*location)).ok() ||
        !server.SetShutdownOnSignals({SIGTERM}).ok())
        return 1;
    std::cout << "Server listening on 127.0.0.1:" << server.port() << std::endl;
    return server.Serve().ok() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
{
    int port = 0;
    for (int i = 1; i < argc; ++i)
        if (std::strncmp(argv[i], "-port=", 6) == 0)
            port = std::atoi(argv[i] + 6);
    return serve(port);
}
