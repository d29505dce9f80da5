using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Serverless.Errors;
using Serverless.Gateway.Telemetry;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Telemetry;

public sealed class RefusalLogTests
{
    [Fact]
    public void Each_request_is_a_line_and_a_flood_is_the_first_lines_and_a_number()
    {
        var (time, logger) = (new TestClock(DateTimeOffset.UnixEpoch), new FakeLogger<RefusalLog>());
        var log = new RefusalLog(time, logger);

        log.Refused(new RequestId("chatcmpl-1"), new ServingFault(ServingError.QueueFull, "The queue is full."));
        log.Failed(new RequestId("chatcmpl-2"), "m", ServingError.DeadlineExceeded, TimeSpan.FromMilliseconds(1250));
        for (var i = 0; i < 100; i++) log.Refused(new RequestId("cmpl-x"), new ServingFault(ServingError.QueueFull, "The queue is full."));
        time.Advance(TimeSpan.FromSeconds(1));
        log.Refused(new RequestId("chatcmpl-3"), new ServingFault(ServingError.ModelNotFound, "The model 'x' does not exist."));

        var lines = logger.Collector.GetSnapshot();
        lines.ShouldAllBe(line => line.Level == LogLevel.Information);
        lines.Count.ShouldBe(RefusalLog.Most + 2);
        lines[0].Message.ShouldBe("chatcmpl-1 is refused with 429 queue_full: The queue is full.");
        lines[1].Message.ShouldBe("chatcmpl-2 of m failed after 1.3 s: deadline_exceeded");
        lines[^2].Message.ShouldBe("92 more requests were refused or failed");
        log.Refused("0HN-1", new ServingFault(ServingError.InvalidApiKey, "Give an API key."));
        logger.LatestRecord.Message.ShouldBe("0HN-1 is refused with 401 invalid_api_key: Give an API key.");
        lines[^1].Message.ShouldBe("chatcmpl-3 is refused with 404 model_not_found: The model 'x' does not exist.");
    }
}
