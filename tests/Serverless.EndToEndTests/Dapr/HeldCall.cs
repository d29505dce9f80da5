using System.Text;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>Holds the first call to the sidecar whose body ends in some text (a key), until it is let go.</summary>
internal sealed class HeldCall(string method, string ending) : DelegatingHandler
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Reached => _reached.Task;

    public void Release() => _released.TrySetResult();

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri!.AbsolutePath.EndsWith($"/{method}", StringComparison.Ordinal) && request.Content is { } content && !Reached.IsCompleted)
        {
            var body = await content.ReadAsByteArrayAsync(cancellationToken);
            request.Content = new ByteArrayContent(body);
            foreach (var header in content.Headers) request.Content.Headers.TryAddWithoutValidation(header.Key, header.Value);
            if (Encoding.UTF8.GetString(body).Contains(ending, StringComparison.Ordinal) && _reached.TrySetResult()) await _released.Task.WaitAsync(cancellationToken);
        }

        return await base.SendAsync(request, cancellationToken);
    }
}
