using System.Diagnostics.Metrics;
using Serverless.Errors;

namespace Serverless.Gateway.Files;

/// <summary>What is counted of files.</summary>
internal sealed class FileMetrics
{
    private readonly Counter<long> _uploads;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _bytes;
    private readonly Counter<long> _swept;

    public FileMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Serverless.Files");
        _uploads = meter.CreateCounter<long>("serverless.files.uploads", "{file}", "Files that clients uploaded.");
        _refused = meter.CreateCounter<long>("serverless.files.refusals", "{file}", "Uploads that were refused or could not be kept.");
        _bytes = meter.CreateCounter<long>("serverless.files.transferred", "By", "Bytes of files that went in or out.");
        _swept = meter.CreateCounter<long>("serverless.files.swept", "{file}", "Bytes without a file that were deleted: expired, deleted, broken off.");
    }

    public void Received(long bytes)
    {
        _uploads.Add(1);
        _bytes.Add(bytes, new KeyValuePair<string, object?>("direction", "in"));
    }

    public void Refused(ServingError error) => _refused.Add(1, new KeyValuePair<string, object?>("error.type", ServingErrors.Row(error).Code ?? "invalid_request"));

    public void Sent(long bytes) => _bytes.Add(bytes, new KeyValuePair<string, object?>("direction", "out"));

    public void Swept(int files) => _swept.Add(files);
}
