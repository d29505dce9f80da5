using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Telemetry;

/// <summary>A line for each request that is refused or fails; of a flood the first ones of each second, then how many there were. Thread-safe.</summary>
internal sealed partial class RefusalLog(TimeProvider time, ILogger<RefusalLog> logger)
{
    /// <summary>Lines a second.</summary>
    public const int Most = 10;

    private readonly Lock _lock = new();
    private long _second = long.MinValue;
    private int _told;
    private int _silent;

    /// <summary>It was refused before anything was done for it.</summary>
    public void Refused(RequestId request, ServingFault fault) => Refused(request.Value, fault);

    /// <summary>A door refused a call: <paramref name="call"/> is what its answer names as <c>x-request-id</c>.</summary>
    public void Refused(string call, ServingFault fault)
    {
        if (IsTold()) LogRefused(call, ServingErrors.Row(fault.Error).HttpStatus, Code(fault.Error, fault.Code), fault.Message);
    }

    /// <summary>It was taken, and ends in an error.</summary>
    public void Failed(RequestId request, string model, ServingError error, TimeSpan took)
    {
        if (IsTold()) LogFailed(request, model, Code(error, null), took.TotalSeconds);
    }

    private static string Code(ServingError error, string? code) => code ?? ServingErrors.Row(error).Code ?? "invalid_request";

    private bool IsTold()
    {
        var second = time.GetUtcNow().ToUnixTimeSeconds();
        var silent = 0;
        lock (_lock)
        {
            if (second != _second) (_second, _told, silent, _silent) = (second, 0, _silent, 0);
            if (_told >= Most)
            {
                _silent++;
                return false;
            }

            _told++;
        }

        if (silent > 0) LogMore(silent);
        return true;
    }

    [LoggerMessage(LogLevel.Information, "{Request} is refused with {Status} {Code}: {Reason}")]
    private partial void LogRefused(string request, int status, string code, string reason);

    [LoggerMessage(LogLevel.Information, "{Request} of {Model} failed after {Seconds:0.0} s: {Code}")]
    private partial void LogFailed(RequestId request, string model, string code, double seconds);

    [LoggerMessage(LogLevel.Information, "{Requests} more requests were refused or failed")]
    private partial void LogMore(int requests);
}
