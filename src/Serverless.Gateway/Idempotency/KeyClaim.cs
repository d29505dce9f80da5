using Serverless.Documents;
using Serverless.Requests;

namespace Serverless.Gateway.Idempotency;

/// <summary>Which request an idempotency key stands for.</summary>
/// <param name="Request">The request.</param>
/// <param name="Taken">Whether it is the caller's, just now.</param>
/// <param name="Document">What is stored, if it is another's.</param>
internal readonly record struct KeyClaim(RequestId Request, bool Taken, Document? Document);
