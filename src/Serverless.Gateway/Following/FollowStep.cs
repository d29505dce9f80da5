using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Following;

/// <summary>One thing that happens to whoever follows a log.</summary>
/// <param name="Kind">What.</param>
/// <param name="Logged">The event, of <see cref="FollowKind.Event"/>.</param>
/// <param name="Fault">Of a tick: why the log cannot be read now, or null. Of <see cref="FollowKind.Gone"/>: what a client is told.</param>
internal readonly record struct FollowStep(FollowKind Kind, LoggedEvent Logged = default, ServingFault? Fault = null);
