using System.Text.Json.Serialization;

namespace Serverless.Gateway.Admission;

/// <summary>Reads a prompt that is to be repeated, without reflection.</summary>
[JsonSerializable(typeof(string))]
internal sealed partial class EchoJson : JsonSerializerContext;
