namespace Serverless.EndToEndTests.Keda;

/// <summary>A scaler that something may befall.</summary>
internal interface IScalerUnderTest : IAsyncDisposable
{
    int Port { get; }

    Task BefallAsync(Fault fault);
}
