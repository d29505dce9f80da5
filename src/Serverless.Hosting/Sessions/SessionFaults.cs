using Grpc.Core;

namespace Serverless.Hosting.Sessions;

/// <summary>Which failures are just the end of a session.</summary>
internal static class SessionFaults
{
    public static bool Ends(Exception exception) => exception is RpcException or IOException or OperationCanceledException or InvalidOperationException or HttpRequestException or ObjectDisposedException;
}
