using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>Faults of a body that are found after it was read.</summary>
internal static class BodyFault
{
    /// <summary>The field at <paramref name="offset"/> is not as it must be.</summary>
    public static ServingException At(ReadOnlySpan<byte> body, int offset, string problem)
    {
        var path = JsonPath.At(body, offset);
        return new ServingException(new ServingFault(ServingError.InvalidRequest, $"'{path}' {problem}.", path));
    }
}
