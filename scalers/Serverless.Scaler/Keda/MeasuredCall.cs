namespace Serverless.Scaler.Keda;

/// <summary>One call in <see cref="ScalerMetrics"/>: ends by disposal, as an error unless it was answered.</summary>
internal sealed class MeasuredCall(Action<bool> end) : IDisposable
{
    private bool _answered;

    public void Answered() => _answered = true;

    public void Dispose() => end(_answered);
}
